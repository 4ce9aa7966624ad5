import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { temporaryFolder } from '#test/start'
import { manualClock } from './clock.ts'
import { FileSecrets, readSecretFile } from './secret.ts'
import { readSettings, setting, SettingsError } from './settings.ts'

const words = (text: string) => (/^[a-z,]+$/.test(text) ? text.split(',') : undefined)

test('a file of a secret is followed: when it is written, and when the link to it leads elsewhere', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'token')
  const clock = manualClock(0)
  const said: [string, boolean][] = []
  // As Kubernetes mounts it: token -> ..data/token, ..data -> a folder that is another one after each change.
  const mount = (name: string, text: string) => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'token'), text)
    symlinkSync(name, join(folder, '..new'))
    renameSync(join(folder, '..new'), join(folder, '..data'))
  }
  mount('..1', 'old\n')
  symlinkSync(join('..data', 'token'), path)
  const secrets = new FileSecrets(path, words, clock.monotonicMs)
  secrets.tell((line, isWell) => said.push([line, isWell]))
  t.equal(secrets.current, 'old')
  const before = secrets.all
  mount('..2', 'new\nold\n')
  t.equal(secrets.all, before, 'it is looked at once a second')
  clock.advance(1_000)
  t.same([secrets.current, secrets.all], ['new', ['new', 'old']])
  t.equal(secrets.all, secrets.all, 'one array as long as they are the same')

  for (const wrong of ['', 'NOT A WORD']) {
    writeFileSync(join(folder, '..2', 'token'), wrong)
    clock.advance(1_000)
    t.same(secrets.all, ['new', 'old'], 'what is wrong changes nothing')
  }
  rmSync(path)
  clock.advance(1_000)
  t.same(secrets.all, ['new', 'old'], 'nor what is gone')
  const toldBefore = said.length
  clock.advance(1_000)
  t.equal(secrets.current, 'new')
  t.equal(said.length, toldBefore, 'and it is said once')
  writeFileSync(path, 'last')
  clock.advance(1_000)
  t.equal(secrets.current, 'last')
  t.same(
    said.map(([, isWell]) => isWell),
    [true, false, false, false, true],
  )
  t.notMatch(JSON.stringify(said), /old"|new"|last"|NOT A WORD/)
  t.end()
})

test('a secret setting stands in the environment or in a file', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'secret')
  const table = {
    tokens: setting.secrets('TOKEN', { help: 'h', pattern: /^\w+$/, want: 'a word' }),
    password: setting.text('PASSWORD', { help: 'h', secret: true, pattern: /^\w+$/, want: 'a word' }),
  }
  const read = (env: Record<string, string>, flags: Record<string, string> = {}) => readSettings(table, { env, flags })
  const lines = (env: Record<string, string>) => {
    try {
      read(env)
    } catch (error) {
      if (error instanceof SettingsError) return error.lines
      throw error
    }
    return []
  }
  writeFileSync(path, 'fromfile\n')
  t.same(read({ TOKEN: 'a,b' }).tokens?.all, ['a', 'b'])
  t.equal(read({ TOKEN_FILE: path }).tokens?.current, 'fromfile')
  t.equal(read({ PASSWORD_FILE: path }).password, 'fromfile')
  t.equal(read({ TOKEN: 'x' }, { 'token-file': path }).tokens?.current, 'fromfile', 'a flag wins')
  t.equal(read({ PENSTOCK_TOKEN_FILE: path, TOKEN: 'x' }).tokens?.current, 'fromfile', 'and so does the prefix')
  t.same(lines({ TOKEN: 'x', TOKEN_FILE: path }), ['TOKEN_FILE: TOKEN is given beside it: want one of them'])
  t.same(lines({ TOKEN_FILE: join(folder, 'none') }), [
    `TOKEN_FILE: ${folder}/none: it cannot be read (ENOENT): want a word`,
  ])
  writeFileSync(path, 'two words')
  t.same(lines({ TOKEN_FILE: path }), [`TOKEN_FILE: ${path}: what it holds is wrong: want a word`])
  t.same(lines({ PASSWORD_FILE: path }), [`PASSWORD_FILE=${path}: want a word`])
  writeFileSync(path, '\n')
  t.throws(() => readSecretFile(path), { message: 'it is empty' })
  t.end()
})
