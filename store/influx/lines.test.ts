import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { gpuRecord, metricRecord } from '../samples.ts'
import {
  gpuTags,
  headOf,
  isHash,
  labelsOf,
  longTexts,
  metricTags,
  tagBytesMax,
  tagText,
  textOfTag,
  timeDigits,
} from './lines.ts'

/** Any UTF-16, halves of pairs too. */
const text = fc.string({
  unit: fc.oneof(fc.constantFrom('\ud83d', '\ude00', '%', '\\', '\n', 'é', '🚰', ''), fc.string()),
})

test('any text comes back out of a tag, and the protocol can carry it', async (t) => {
  fc.assert(
    fc.property(text, (given) => {
      const content = tagText(given)
      assert.equal(textOfTag(content), given)
      assert.notEqual(content, '')
      assert.ok(content.isWellFormed() && !/[\\\p{Cc}]/u.test(content), content)
    }),
  )
  t.equal(tagText('a b,c=d"e\'🚰'), 'a b,c=d"e\'🚰', 'nothing is encoded without need')
  t.same([tagText(''), tagText('50%'), tagText('C:\\x')], ['%', '50%25', 'C:%5Cx'])
})

test('a text that is too long becomes its hash, and is kept beside', async (t) => {
  const long = 'é'.repeat(tagBytesMax)
  const record = gpuRecord({ labels: { xid: long, job: long } })
  const content = gpuTags(record)['xid'] as string
  t.ok(isHash(content))
  t.equal(textOfTag(content), undefined)
  t.same([...longTexts(record, false)], [[content, long]], 'the job is no tag')
  t.equal(tagText('x'.repeat(tagBytesMax)).length, tagBytesMax)
})

test('a series is named by its tags, in their order, without those that it has not', async (t) => {
  t.equal(headOf('gpu', gpuTags(gpuRecord())), 'gpu,metric=DCGM_FI_DEV_GPU_UTIL,uuid=GPU-a')
  t.equal(
    headOf('gpu', gpuTags(gpuRecord({ gpu_i_id: '1', labels: { xid: '7 9', nvlink: '', job: 'j' } }))),
    'gpu,gpu_i_id=1,metric=DCGM_FI_DEV_GPU_UTIL,uuid=GPU-a,xid=7\\ 9',
  )
  t.equal(
    headOf('metric', metricTags(metricRecord({ tags: { 'a,b': '', time: 'x' } }), false)),
    'metric,metric=disk_used,tag_a\\,b=%,tag_time=x',
  )
})

test('labels come back out of the tags, in one or apart', async () => {
  fc.assert(
    fc.property(fc.dictionary(text, text), fc.boolean(), (tags, isJoint) => {
      const given = metricTags(metricRecord({ tags }), isJoint)
      assert.deepEqual({ ...labelsOf('metric', given, (content) => textOfTag(content) as string) }, { ...tags })
    }),
  )
})

test('a label may be called __proto__', async (t) => {
  const { tags } = metricRecord({ tags: JSON.parse('{"__proto__":"a","x":"b"}') })
  for (const isJoint of [false, true]) {
    const labels = labelsOf(
      'metric',
      metricTags(metricRecord({ tags }), isJoint),
      (content) => textOfTag(content) as string,
    )
    t.equal(JSON.stringify(labels), '{"__proto__":"a","x":"b"}')
  }
})

test('times are digits to the nanosecond', async (t) => {
  fc.assert(
    fc.property(fc.nat({ max: 9_214_646_399_999 }), fc.nat({ max: 999_999 }), (ms, ns) => {
      assert.equal(BigInt(timeDigits({ ms, ns })), BigInt(ms) * 1_000_000n + BigInt(ns))
    }),
  )
  t.equal(timeDigits({ ms: 0, ns: 7 }), '7')
})
