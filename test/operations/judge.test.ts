import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import { issuesOf, OPERATIONS, operationEntries } from '../../src/operations/index.ts'

const messages = (id: keyof typeof OPERATIONS, input: unknown) =>
  Object.fromEntries(issuesOf(OPERATIONS[id].input, input).map(({ path, message }) => [path, message]))

describe('input of operations', () => {
  const good = { platform: 'p', function: '0000:01:00.0', numVfs: 4 }

  it('passes as it is', () => {
    expect(messages('setNumVfs', good)).toEqual({})
    expect(good).toEqual({ platform: 'p', function: '0000:01:00.0', numVfs: 4 })
  })

  it('is never coerced', () => {
    expect(messages('setNumVfs', { ...good, numVfs: '4' })).toEqual({ '/numVfs': 'must be an integer' })
    expect(messages('setNumVfs', { ...good, numVfs: 4.5 })).toEqual({ '/numVfs': 'must be an integer' })
    expect(messages('setNumVfs', { ...good, numVfs: true })).toEqual({ '/numVfs': 'must be an integer' })
    expect(messages('setNumVfs', { ...good, numVfs: null })).toEqual({ '/numVfs': 'must be an integer' })
    expect(messages('setNumVfs', { ...good, numVfs: -1 })).toEqual({ '/numVfs': 'must be at least 0' })
    expect(messages('setNumVfs', { ...good, numVfs: 65_536 })).toEqual({ '/numVfs': 'must be at most 65535' })
  })

  it('has no unknown and no missing field, and every complaint names its field', () => {
    expect(messages('setNumVfs', { ...good, vfs: 1 })).toEqual({ '/vfs': 'is not a known field' })
    expect(messages('createVm', { platform: 'p' })).toEqual({
      '/name': 'is required',
      '/vcpus': 'is required',
      '/memoryMiB': 'is required',
    })
    expect(messages('createVm', null)).toEqual({ '': 'must be an object' })
    expect(messages('createVm', [])).toEqual({ '': 'must be an object' })
  })

  it('says what a word or an address must look like', () => {
    const dma = { platform: 'p', function: 'f', direction: 'sideways', address: '4096' }
    expect(messages('dma', dma)).toEqual({
      '/direction': 'must be one of read, write',
      '/address': 'must be hexadecimal text like "0x1000"',
    })
    expect(messages('attach', { platform: 'p', vm: 'a', function: '1:2.3' })['/function']).toMatch(
      /0000:03:10\.1/,
    )
    expect(messages('createPlatform', {})).toEqual({ '/topology': 'is required' })
  })
})

describe('the table of operations', () => {
  it('gives every operation words and a route of its own', () => {
    const entries = operationEntries()
    expect(entries.length).toBeGreaterThan(30)
    expect(new Set(entries.map(([, row]) => row.words)).size).toBe(entries.length)
    expect(new Set(entries.map(([, row]) => `${row.rest.method} ${row.rest.path}`)).size).toBe(entries.length)
  })

  it.each(operationEntries())('%s names in its path only what is in its input', (_id, row) => {
    const inPath = [...row.rest.path.matchAll(/\{(\w+)\}/g)].map(match => match[1])
    expect(Object.keys(row.input['properties'])).toEqual(expect.arrayContaining(inPath))
    expect(row.input['additionalProperties']).toBe(false)
    expect(row.words).toMatch(/^[a-z-]+ [a-z-]+$/)
  })
})

describe('streams of guest operations', async () => {
  const { guestStream } = await import('../../src/operations/guest-stream.ts')
  const issues = (...items: unknown[]) => {
    try {
      guestStream(items)
      return []
    } catch (error) {
      return (error as NorthbridgeError).details.issues!
    }
  }

  it('become operations of the processor, 64-bit values as two words', () => {
    expect(
      guestStream([
        { op: 'write', address: '0xfee000b0', width: 8, value: '0x123456789abcdef0' },
        { op: 'in', port: 0x3f8, width: 1 },
        { op: 'wrmsr', msr: '0x1b', value: 5 },
        { op: 'read', address: '0xfffffffffffff', width: 4 },
        { op: 'hlt' },
      ]),
    ).toEqual([
      { op: 'write', address: 0xfee000b0, width: 8, value: [0x9abcdef0, 0x12345678] },
      { op: 'in', port: 0x3f8, width: 1 },
      { op: 'wrmsr', msr: 0x1b, value: [5, 0] },
      { op: 'read', address: 2 ** 52 - 1, width: 4 },
      { op: 'hlt' },
    ])
  })

  it('name the field that is wrong', () => {
    expect(issues({ op: 'jump' })[0]!.path).toBe('/operations/0/op')
    expect(issues(null, 3)).toHaveLength(2)
    expect(issues({ op: 'hlt', port: 1 })).toEqual([
      { path: '/operations/0/port', message: 'is not a known field' },
    ])
    expect(issues({ op: 'in', port: 1 })[0]!.path).toBe('/operations/0/width')
    expect(issues({ op: 'in', port: 1, width: 8 })[0]!.message).toContain('1, 2, 4')
    expect(issues({ op: 'in', port: '0x10000', width: 1 })[0]!.message).toContain('16 bits')
    expect(issues({ op: 'read', address: '0x10000000000000', width: 1 })[0]!.message).toContain('52 bits')
    expect(issues({ op: 'cpuid', leaf: '2' })[0]!.path).toBe('/operations/0/leaf')
  })
})
