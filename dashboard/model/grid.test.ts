import fc from 'fast-check'
import { test } from 'tap'
import { FleetModel } from './fleet.ts'
import { cellAt, gridOf, neighbour, shortNames } from './grid.ts'
import { listOf, type SampleGpu } from './samples.ts'

function gpusOf(samples: readonly SampleGpu[]) {
  const fleet = new FleetModel()
  fleet.replace(listOf(samples))
  return fleet.all()
}

function fleetOf(hosts: number, perHost: number) {
  const samples = Array.from({ length: hosts * perHost }, (_, at) => ({
    host: `mtv5-dgx1-hgpu-${String(Math.floor(at / perHost) + 1).padStart(3, '0')}`,
    index: String(at % perHost),
  }))
  return gpusOf(samples)
}

test('GPUs whose source named no host have a row that says so, and shorten no name less', (t) => {
  const { labels } = gridOf([...fleetOf(2, 1), ...gpusOf([{ host: '' }])], 600)
  t.strictSame(
    labels.map(({ text }) => text),
    ['no host', '001', '002'],
  )
  t.end()
})

test('every GPU has a cell of its own inside the width, and is found there', (t) => {
  const sizes = fc.record({
    hosts: fc.integer({ min: 1, max: 60 }),
    perHost: fc.integer({ min: 1, max: 16 }),
    width: fc.integer({ min: 300, max: 2_000 }),
  })
  fc.assert(
    fc.property(sizes, ({ hosts, perHost, width }) => {
      const gpus = fleetOf(hosts, perHost)
      const grid = gridOf(gpus, width)
      return (
        grid.cells.length === gpus.length &&
        grid.cells.every((cell) => {
          const isInside = cell.x >= 0 && cell.x + cell.width <= width && cell.y + cell.height <= grid.height
          return isInside && cellAt(grid, cell.x + cell.width / 2, cell.y + cell.height / 2) === cell
        })
      )
    }),
    { numRuns: 40 },
  )
  t.end()
})

test('2,000 GPUs fit on a phone and on a screen, with cells that can be hit', (t) => {
  const gpus = fleetOf(250, 8)
  for (const width of [320, 800]) {
    const { cells } = gridOf(gpus, width)
    t.ok(
      cells.every((cell) => cell.width >= 8 && cell.height >= 12),
      `${width} px`,
    )
  }
  t.end()
})

test('a GPU stands at its index: one that is missing leaves a hole', (t) => {
  const gpus = fleetOf(2, 8).filter(({ hostname, index }) => hostname !== 'mtv5-dgx1-hgpu-002' || index !== '6')
  const { cells, holes } = gridOf(gpus, 800)
  t.equal(holes.length, 1)
  const above = cells.find(({ gpu }) => gpu.hostname === 'mtv5-dgx1-hgpu-001' && gpu.index === '6')
  t.equal(holes[0]?.x, above?.x, 'under the sixth of the other host')
  t.end()
})

test('the slices of a GPU share its place', (t) => {
  const gpus = gpusOf([{ index: '0', slice: '1' }, { index: '0', slice: '2' }, { index: '1' }])
  const { cells } = gridOf(gpus, 800)
  const widths = cells.map(({ width }) => Math.round(width))
  t.equal(widths[0], widths[1])
  t.ok((widths[2] as number) > (widths[0] as number) * 1.9)
  t.end()
})

test('arrow keys lead to the cell beside, and stay at the edge', (t) => {
  const grid = gridOf(fleetOf(3, 4), 800)
  const at = (host: number, index: number) => grid.cells[host * 4 + index]
  const [first, below, right] = [at(0, 0), at(1, 0), at(0, 1)]
  if (first === undefined || below === undefined || right === undefined) throw new Error('no cells')
  t.equal(neighbour(grid, first, 'ArrowRight'), right)
  t.equal(neighbour(grid, first, 'ArrowDown'), below)
  t.equal(neighbour(grid, below, 'ArrowUp'), first)
  t.equal(neighbour(grid, first, 'ArrowLeft'), first)
  t.end()
})

test('names lose the words that they all begin with, and no half words', (t) => {
  t.strictSame(shortNames(['gpu-a01', 'gpu-a02']), ['a01', 'a02'])
  t.strictSame(shortNames(['mtv5-dgx1-hgpu-001', 'mtv5-dgx1-hgpu-010']), ['001', '010'])
  t.strictSame(shortNames(['alone-1']), ['alone-1'])
  t.strictSame(shortNames(['a-1', 'b-1']), ['a-1', 'b-1'])
  t.strictSame(shortNames(['node-', 'node-1']), ['node-', 'node-1'], 'never nothing')
  t.end()
})
