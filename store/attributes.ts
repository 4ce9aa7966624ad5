/** What says of a GPU which one it is: the names, the same for every engine, and which labels are of the GPU itself. */

import { seriesLabels } from '#telemetry/identity'
import type { GpuRecord, Labels } from '#telemetry/record'
import type { GpuAttributes } from './store.ts'

/** What each sighting says anew, besides the labels. */
export const sightedAttributes = [
  'hostname',
  'gpu_id',
  'device_id',
  'model_name',
  'container',
  'pod',
  'namespace',
] as const satisfies (keyof GpuAttributes & keyof GpuRecord)[]

/** All of them. */
export const gpuAttributes = ['uuid', 'gpu_i_id', ...sightedAttributes] as const satisfies (keyof GpuAttributes)[]

/** Of a series that belongs to no GPU. */
export const noGpu: GpuAttributes = {
  uuid: '',
  gpu_i_id: '',
  hostname: '',
  gpu_id: '',
  device_id: '',
  model_name: '',
  container: '',
  pod: '',
  namespace: '',
}

const namesOfSeries: ReadonlySet<string> = new Set(seriesLabels)

/** Whether a label makes a series of its own, and says nothing of the GPU. */
export function isSeriesLabel(name: string): boolean {
  return namesOfSeries.has(name)
}

/** The labels that describe the GPU; those that make a series of its own describe the series. Sorted by name. */
export function gpuLabels(labels: Labels): Labels {
  const names = Object.keys(labels).filter((name) => !isSeriesLabel(name))
  return Object.fromEntries(names.sort().map((name) => [name, labels[name] as string]))
}
