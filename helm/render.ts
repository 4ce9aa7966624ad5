/** The chart as the cluster would get it: rendered by helm, parsed. For tests. */

import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { helmPath, kubernetesVersion } from '#test/tools'

export const chart = join(import.meta.dirname, 'penstock')

/** The files of values beside the chart's own. */
export const variants = ['dev', 'prod', 'sandbox', 'openshift'] as const

export type Variant = (typeof variants)[number]

/** Any object of Kubernetes; a test knows what it looks at. */
export type Any = any

interface Given {
  readonly variant?: Variant | undefined
  /** `--set` lines. */
  readonly set?: readonly string[]
}

const rendered = new Map<string, Any[]>()

/** The objects of a release named `telemetry`. Who asks for the same again gets the same: helm takes 0.2 s. */
export function render(given: Given = {}): Any[] {
  const key = JSON.stringify(flagsOf(given))
  const known = rendered.get(key) ?? renderAnew(given)
  rendered.set(key, known)
  return known
}

/** With secrets of its own. */
export function renderAnew(given: Given = {}): Any[] {
  const text = execFileSync(helmPath, ['template', 'telemetry', chart, ...flagsOf(given)], {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  })
  return parseAllDocuments(text).flatMap((document): Any[] => {
    const object: Any = document.toJS()
    return object === null ? [] : [object]
  })
}

/** What helm says to values that it refuses. */
export function refusal(given: Given): string {
  const { status, stderr } = spawnSync(helmPath, ['template', 'telemetry', chart, ...flagsOf(given)], {
    encoding: 'utf8',
  })
  return status === 0 ? '' : stderr
}

/** What `helm lint` has to say; nothing when it is content. */
export function lint(given: Given): string {
  const { status, stdout, stderr } = spawnSync(helmPath, ['lint', '--quiet', '--strict', chart, ...flagsOf(given)], {
    encoding: 'utf8',
  })
  return status === 0 ? '' : stdout + stderr
}

function flagsOf({ variant, set = [] }: Given): string[] {
  return [
    '--kube-version',
    kubernetesVersion,
    ...(variant === undefined ? [] : ['--values', join(chart, `values-${variant}.yaml`)]),
    ...set.flatMap((line) => ['--set', line]),
  ]
}

export function find(objects: readonly Any[], kind: string, name: string): Any {
  const found = objects.find((each) => each.kind === kind && each.metadata.name === name)
  if (found === undefined) throw new Error(`no ${kind} ${name} among ${objects.map((each) => each.kind).join(', ')}`)
  return found
}

/** The pods of all objects that make some, with the name of their maker and how many there are at most. */
export function podsOf(objects: readonly Any[]): { name: string; kind: string; replicas: number; spec: Any }[] {
  return objects.flatMap((each) => {
    const name = each.metadata.name as string
    if (each.kind === 'Pod') return [{ name, kind: 'Pod', replicas: 1, spec: each.spec }]
    const spec = each.spec?.template?.spec
    return spec?.containers === undefined ? [] : [{ name, kind: each.kind, replicas: each.spec.replicas ?? 1, spec }]
  })
}

/** `250m` and `2` as CPUs, `64Mi` and `1Gi` as bytes. */
export function quantity(text: string | number): number {
  const [, number = '', unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(String(text)) ?? []
  const factors: Record<string, number> = { '': 1, m: 0.001, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 }
  const factor = factors[unit]
  if (number === '' || factor === undefined) throw new Error(`${text} is no quantity`)
  return Number(number) * factor
}
