import { describe, expect, it } from 'vitest'
import { differences } from '../../src/experiments/index.ts'

describe('what a document expects of a result', () => {
  it('is contained in it: objects may have further fields', () => {
    expect(
      differences(
        { outcome: 'fault', fault: { reason: '0x05' } },
        {
          outcome: 'fault',
          parts: [],
          fault: { reason: '0x05', unit: 'dmar0' },
        },
      ),
    ).toEqual([])
  })

  it('names the field that differs', () => {
    expect(differences({ fault: { reason: '0x05' } }, { fault: { reason: '0x06' } })).toEqual([
      { path: '/fault/reason', message: 'is "0x06", not "0x05"' },
    ])
  })

  it('compares arrays whole', () => {
    expect(differences([1, 2], [1, 2])).toEqual([])
    expect(differences([1, 2], [1, 2, 3])).toHaveLength(1)
    expect(differences([{ a: 1 }], [{ a: 1, b: 2 }])).toEqual([])
    expect(differences([], {})).toHaveLength(1)
  })

  it('does not take "2" for 2, nor null for nothing', () => {
    expect(differences({ n: 2 }, { n: '2' })).toHaveLength(1)
    expect(differences({ n: null }, {})).toHaveLength(1)
    expect(differences({ n: null }, { n: null })).toEqual([])
  })

  it('finds an item, or a part of a text, with $contains', () => {
    expect(differences({ list: { $contains: { a: 1 } } }, { list: [{ a: 2 }, { a: 1, b: 1 }] })).toEqual([])
    expect(differences({ list: { $contains: { a: 3 } } }, { list: [{ a: 2 }] })).toHaveLength(1)
    expect(differences({ $contains: 'ACS' }, 'lacks ACS')).toEqual([])
    expect(differences({ $contains: 'ACS' }, undefined)).toHaveLength(1)
  })

  it('demands a difference with $not, and a length with $length', () => {
    expect(differences({ $not: '0x1000' }, '0x2000')).toEqual([])
    expect(differences({ $not: '0x1000' }, '0x1000')).toHaveLength(1)
    expect(differences({ $length: 4 }, [1, 2, 3, 4])).toEqual([])
    expect(differences({ $length: 4 }, 'abc')).toHaveLength(1)
  })
})
