/** Whether this machine has GPUs of its own to watch, told by those who would know. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Where NVIDIA's exporter listens unless it is told otherwise. */
const exporterUrl = 'http://127.0.0.1:9400/metrics'

const nvidiaSmiMs = 3_000
const exporterMs = 1_000

/** One line about the first source that answers; nothing where there is none. */
export async function liveSource(signal: AbortSignal): Promise<string | undefined> {
  const [gpus, exporter] = await Promise.all([gpusOf(signal), exporterAnswers(signal)])
  if (exporter)
    return `an exporter answers at ${exporterUrl}: this machine has GPUs of its own, Prometheus can scrape them`
  if (gpus.length === 0) return undefined
  const [model = 'GPU'] = gpus
  return `nvidia-smi shows ${gpus.length} x ${model} here: nvidia-smi --query-gpu=… --format=csv says how they are`
}

async function gpusOf(signal: AbortSignal): Promise<string[]> {
  try {
    const args = ['--query-gpu=name', '--format=csv,noheader']
    const { stdout } = await promisify(execFile)('nvidia-smi', args, { timeout: nvidiaSmiMs, signal })
    return stdout.split('\n').filter((line) => line.trim() !== '')
  } catch {
    // No such program, or no driver behind it: then there is nothing to tell.
    return []
  }
}

async function exporterAnswers(signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await fetch(exporterUrl, { signal: AbortSignal.any([signal, AbortSignal.timeout(exporterMs)]) })
    return answer.ok && (await answer.text()).includes('DCGM_')
  } catch {
    return false
  }
}
