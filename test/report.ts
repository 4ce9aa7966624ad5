/**
 * Turns tap's output into what people want to read: one line a test file with what its tests have to say, and of a file that
 * failed all but what passed.
 *
 * TAP as the runner writes it: at the margin `# Subtest: FILE`, then the file's own output indented, then `ok N - FILE #
 * time=…` or `not ok …`, and at the very end `# { total: 7, pass: 3, fail: 3, skip: 1 }` (https://testanything.org).
 */
export class Report {
  readonly totals = { passed: 0, failed: 0, skipped: 0 }
  /** Whether the last line with the totals came. */
  isComplete = false

  readonly #print: (line: string) => void
  #indented: string[] = []
  #failing = false

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  /** Takes the next line, without its newline. */
  line(line: string): void {
    if (line.startsWith(' ')) {
      if (this.#failing) this.#diagnosis(line)
      else this.#indented.push(line)
      return
    }
    const result = /^(not )?ok \d+ - (.*?)(?: # time=([\d.]+)ms)?(?: # SKIP ?(.*))?$/.exec(line)
    if (result !== null) this.#fileEnds(result[1] === undefined, result[2] ?? '', result[3], result[4])
    else if (line.startsWith('# Subtest: ')) this.#failing = false
    else if (line.startsWith('# { total:')) this.#count(line)
    else if (line.startsWith('Bail out!')) this.#print(line)
  }

  #fileEnds(passed: boolean, name: string, ms: string | undefined, skip: string | undefined): void {
    const took = ms === undefined ? '' : ` (${(Number(ms) / 1_000).toFixed(1)} s)`
    this.#print(`${passed ? 'ok    ' : 'FAILED'} ${name}${took}${skip === undefined ? '' : ` skipped: ${skip}`}`)
    for (const line of passed ? this.#indented.filter(isSaid) : whatFailed(this.#indented)) this.#print(line)
    this.#indented = []
    this.#failing = !passed
  }

  /** What tap says about a failed file as a whole; of that only how it ended tells something. */
  #diagnosis(line: string): void {
    if (/^ {2}(exitCode|signal|expired|error|message|timeout): (?!null)/.test(line)) this.#print(line)
  }

  #count(line: string): void {
    const of = (name: string) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0)
    this.totals.passed = of('pass')
    this.totals.failed = of('fail')
    this.totals.skipped = of('skip') + of('todo')
    this.isComplete = true
  }
}

/** What a passing file has to say: what it skipped, and what its tests measured (`t.comment`). */
function isSaid(line: string): boolean {
  return isSkip(line) || /^ +# (?!Subtest: |time=)/.test(line)
}

function isSkip(line: string): boolean {
  return /^ *ok \d+ .*# SKIP/.test(line)
}

/** Leaves out what passed, plans and blank lines, and what is said about a subtest as a whole: its parts say it better. */
function whatFailed(lines: readonly string[]): string[] {
  const kept: string[] = []
  let skipping = false
  for (const line of lines) {
    const isBlock = /^ *---$/.test(line)
    if (isBlock && / # time=/.test(kept.at(-1) ?? '')) skipping = true
    if (!skipping && (isSkip(line) || !/^ *(ok \d+ .*|1\.\.\d+|# time=.*|# Subtest: .*|)$/.test(line))) {
      kept.push(line.replaceAll('\\#', '#'))
    }
    if (/^ *\.\.\.$/.test(line)) skipping = false
  }
  return kept
}
