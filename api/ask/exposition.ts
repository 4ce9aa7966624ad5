/**
 * Newest values as Prometheus reads them. Pure.
 *
 * Names, labels and units are those of NVIDIA's exporter before 4.9 (DCGM field names; `hostname` as from 4.8.3), so that panels
 * made for it fit. What was not reported has no line, and what is stale has none: docs/decisions/093.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
 */

import { metricOf } from '#telemetry/catalogue'
import { parseTime } from '#telemetry/time'
import type { Gpu } from '../contract.ts'

export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

const noLabels: Readonly<Record<string, string>> = {}

interface Sample {
  readonly labels: readonly (readonly [name: string, text: string])[]
  readonly value: number
}

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'untyped'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** @param staleAfterMs values that are older are left out */
export function expositionOf(gpus: readonly Gpu[], staleAfterMs: number): string {
  const families = [...familiesOf(gpus, staleAfterMs), ...inventoryOf(gpus)]
  return families.map(textOf).join('')
}

function familiesOf(gpus: readonly Gpu[], staleAfterMs: number): Family[] {
  const byMetric = new Map<string, Sample[]>()
  for (const gpu of gpus) {
    const own = labelsOf(gpu)
    const plain = Object.entries(gpu.values).map(([metric, reading]) => ({ metric, labels: noLabels, ...reading }))
    for (const { metric, labels, value, age_s } of [...plain, ...gpu.series]) {
      if (value === null || age_s * 1000 > staleAfterMs) continue
      const samples = byMetric.get(metric) ?? []
      byMetric.set(metric, samples)
      const name = nameOf(metric)
      // Names that the format cannot carry are told by a label: two of them may have become one.
      const spelled = name === metric ? [] : [['metric', metric] as const]
      samples.push({ labels: [...own, ...Object.entries(labels), ...spelled], value })
    }
  }
  const byName = Map.groupBy(byMetric, ([metric]) => nameOf(metric))
  return [...byName].sort(byText).map(([name, own]) => {
    const known = metricOf(name)?.metric
    const help = known === undefined ? 'Not in the catalogue' : `${known.help} (in ${known.unit})`
    return { name, type: typeOf(name), help, samples: own.flatMap(([, samples]) => samples) }
  })
}

/** What alerts want to know of GPUs that say nothing any more. */
function inventoryOf(gpus: readonly Gpu[]): Family[] {
  if (gpus.length === 0) return []
  const of = (value: (gpu: Gpu) => number): Sample[] =>
    gpus.map((gpu) => ({ labels: labelsOf(gpu), value: value(gpu) }))
  return [
    {
      name: 'penstock_gpu_last_seen_timestamp_seconds',
      type: 'gauge',
      help: 'Time of the newest value of the GPU, of whichever metric',
      samples: of(({ last_seen }) => (parseTime(last_seen)?.ms ?? 0) / 1000),
    },
    {
      name: 'penstock_gpu_missing',
      type: 'gauge',
      help: 'Whether the GPU is not seen (1) though its host has newer values of others',
      samples: of(({ missing_since }) => (missing_since === null ? 0 : 1)),
    },
  ]
}

function labelsOf({ gpu_id, uuid, gpu_i_id, device_id, model_name, hostname, ...owner }: Gpu): Sample['labels'] {
  const always = { gpu: gpu_id, uuid, device: device_id, modelName: model_name, hostname }
  const { namespace, pod, container } = owner
  const set = Object.entries({ GPU_I_ID: gpu_i_id, namespace, pod, container }).filter(([, text]) => text !== '')
  return [...Object.entries(always), ...set]
}

function typeOf(name: string): Family['type'] {
  const kind = metricOf(name)?.metric.kind
  if (kind === undefined) return 'untyped'
  // The event metrics that end in COUNT are of the exporter's last window.
  return kind === 'counter' || (kind === 'event' && name.endsWith('_TOTAL')) ? 'counter' : 'gauge'
}

function nameOf(metric: string): string {
  return metric.replace(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d|$)/, '_')
}

function textOf({ name, type, help, samples }: Family): string {
  const lines = samples.map(({ labels, value }) => {
    const pairs = labels.map(([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`)
    return `${name}{${pairs.join()}} ${value}\n`
  })
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function byText([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}
