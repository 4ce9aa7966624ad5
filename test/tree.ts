/** The checkout as the tidy test sees it: every source file with its imports. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

export interface Import {
  /** As written: `./ids.ts`, `#wire/ids`, `node:fs`, `pino`. */
  readonly specifier: string
  readonly line: number
  /** The file of this checkout that it means, from the root; `undefined` for a package or a part of Node. */
  readonly target: string | undefined
  /** `export … from`. */
  readonly isReexport: boolean
}

export interface SourceFile {
  /** From the root, with slashes: `wire/ids.ts`. */
  readonly path: string
  /** The top-level folder; empty for a file at the root. */
  readonly room: string
  /** `name.test.ts`, or a file of test/. */
  readonly isTest: boolean
  /** The text with its comments blanked out: same lines, same columns. */
  readonly code: string
  readonly lineCount: number
  readonly imports: readonly Import[]
}

export interface Tree {
  readonly files: readonly SourceFile[]
  /** Texts of the README.md files by folder. */
  readonly readmes: ReadonlyMap<string, string>
}

const skipped = new Set(['node_modules', 'dist', 'data', 'results', 'golden', 'fixtures'])

/** Reads every source file below a folder that is the root of a checkout. */
export function readTree(root: string): Tree {
  const files: SourceFile[] = []
  const readmes = new Map<string, string>()
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name)
      if (entry.name.startsWith('.') || skipped.has(entry.name)) continue
      if (entry.isDirectory()) visit(path)
      else if (entry.name === 'README.md') readmes.set(folder, readFileSync(join(root, path), 'utf8'))
      else if (/\.(ts|tsx|js)$/.test(entry.name)) files.push(sourceFile(path, readFileSync(join(root, path), 'utf8')))
    }
  }
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const isRoom = entry.isDirectory() && !entry.name.startsWith('.') && !skipped.has(entry.name)
    if (isRoom && existsSync(join(root, entry.name))) visit(entry.name)
  }
  return { files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)), readmes }
}

export function sourceFile(path: string, text: string): SourceFile {
  const room = path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
  const code = withoutComments(text)
  const lines = text.split('\n')
  return {
    path,
    room,
    isTest: room === 'test' || path.endsWith('.test.ts'),
    code,
    lineCount: lines.at(-1) === '' ? lines.length - 1 : lines.length,
    imports: importsOf(path, code),
  }
}

/** The number of the line, from 1, that a position is on. */
export function lineOf(code: string, position: number): number {
  return code.slice(0, position).split('\n').length
}

// Strings are matched only so that a `//` in them is no comment; one that holds no newline, so that an apostrophe in a
// regular expression spoils one line at most.
const commentOrString = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g

function withoutComments(text: string): string {
  return text.replace(commentOrString, (match) => (match.startsWith('/') ? match.replace(/[^\n]/g, ' ') : match))
}

// At the start of a line, so that code in a template string (a script that a test runs) is mostly left alone.
const statements = /^(import|export)\s(?:[^'";=()]*?\sfrom\s*)?'([^']+)'/gm
const calls = /\bimport\(\s*'([^']+)'\s*\)/g

function importsOf(path: string, code: string): Import[] {
  const imports: Import[] = []
  const add = (specifier: string, at: number, isReexport: boolean) => {
    imports.push({ specifier, line: lineOf(code, at), target: targetOf(path, specifier), isReexport })
  }
  for (const match of code.matchAll(statements)) add(match[2] as string, match.index, match[1] === 'export')
  for (const match of code.matchAll(calls)) add(match[1] as string, match.index, false)
  return imports
}

function targetOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return posix.join(dirname(path), specifier)
  if (specifier.startsWith('#')) return `${specifier.slice(1)}.ts`
  return undefined
}
