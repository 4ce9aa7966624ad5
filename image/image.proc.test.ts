/** The image, run as a cluster runs it: as a user that nobody knows, with a root that cannot be written to. */

import { spawnSync } from 'node:child_process'
import { test } from 'tap'
import { version } from '#lib/version'
import { isInstalled, tools } from '#test/tools'

const image = process.env['IMAGE'] ?? `localhost/penstock:${version}`
const name = `penstock-test-${process.pid}`

/** `npm run image` takes a minute or two: the test is of an image that is there. */
const skip = !isInstalled(tools.podman)
  ? 'podman is not installed'
  : podman('image', 'exists', image).status === 0
    ? false
    : `${image} is not there: npm run image`

/** As OpenShift does: an id of the namespace's own, in the group 0. */
const strictFlags = '--pull never --network host --read-only --tmpfs /tmp --user 1000730000:0 --cap-drop all'.split(' ')
// Where there is no systemd, and limits cannot be raised.
const modest = ['--ulimit', 'nofile=10000:10000', '--ulimit', 'nproc=5000:5000']

test(
  'the image runs read-only as any user, takes records, and stops in order',
  { skip, timeout: 120_000 },
  async (t) => {
    t.teardown(() => podman('rm', '--force', '--time', '0', name))
    const environment = ['--env', 'PORT=0', '--env', 'MEMORY_BYTES=16MiB']
    const flags = ['--name', name, ...strictFlags, ...modest, '--tmpfs', '/data:mode=0770', ...environment]
    const { status, stderr } = podman('run', '--detach', ...flags, image, 'broker')
    t.equal(status, 0, stderr)

    const url = await listening()
    const produced = await fetch(`${url}/produce?topic=telemetry`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'a record',
    })
    t.match(await produced.json(), { count: 1, durability: 'fsync' })

    const inside = (...command: readonly string[]) => podman('exec', name, ...command)
    t.match(inside('id', '-u').stdout, '1000730000')
    t.not(inside('touch', '/usr/local/lib/node_modules/penstock/x').status, 0, 'its own files are not its to change')
    t.match(inside('penstock', 'topics', '--addr', url).stdout, /telemetry/, 'the command is there')
    t.match(inside('sh', '-c', 'ls /usr/local/lib/node_modules/penstock').stdout.split('\n').filter(Boolean), [
      'LICENSE',
      'cli',
      'dist',
      'node_modules',
      'package.json',
    ])
    t.match(inside('sh', '-c', 'ls /usr/local/lib/node_modules/penstock/node_modules').stdout, /fastify/)
    t.notMatch(
      inside('sh', '-c', 'ls /usr/local/lib/node_modules/penstock/node_modules').stdout,
      /^(tap|typescript|vite)$/m,
    )

    t.equal(podman('stop', '--time', '20', name).status, 0)
    t.equal(
      podman('inspect', '--format', '{{.State.ExitCode}}', name).stdout.trim(),
      '0',
      'SIGTERM is heard by process 1',
    )
  },
)

test('the image says what it is', { skip }, (t) => {
  const [about] = JSON.parse(podman('image', 'inspect', image).stdout) as {
    User: string
    Labels: Record<string, string>
    Config: { StopSignal: string }
  }[]
  t.match(about, {
    User: '10001:0',
    Labels: { 'org.opencontainers.image.title': 'Penstock', 'org.opencontainers.image.version': version },
  })
  t.match(podman('image', 'inspect', '--format', '{{.HealthCheck}}', image).stdout, /health/)
  t.end()
})

/** The URL in the line by which a role says that it listens. */
async function listening(): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const [, url] = /"url":"(http:[^"]+)"/.exec(podman('logs', name).stdout) ?? []
    if (url !== undefined && (await fetch(`${url}/ready`)).ok) return url
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`the broker does not come up:\n${podman('logs', name).stderr}`)
}

function podman(...args: readonly string[]) {
  const runtime = isInstalled({ name: 'runc', skipped: '' })
    ? ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs']
    : []
  return spawnSync('podman', [...runtime, ...args], { encoding: 'utf8', timeout: 60_000 })
}
