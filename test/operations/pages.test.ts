import { describe, expect, it } from 'vitest'
import { pageOf } from '../../src/operations/index.ts'

const key = (item: { id: number }) => item.id
const list = (...ids: number[]) => ids.map(id => ({ id }))

describe('pages of a list', () => {
  it('hold every item once, whatever the limit', () => {
    const items = list(...Array.from({ length: 23 }, (_, i) => i * 3))
    for (const limit of [1, 2, 7, 22, 23, 24]) {
      const seen: unknown[] = []
      let cursor: string | undefined
      do {
        const page = pageOf(items, key, limit, cursor)
        expect(page.items.length).toBeLessThanOrEqual(limit)
        seen.push(...page.items)
        cursor = page.next
      } while (cursor !== undefined)
      expect(seen).toEqual(items)
    }
  })

  it('go on behind an item that was removed meanwhile', () => {
    const { next } = pageOf(list(1, 2, 3, 4), key, 2)
    expect(pageOf(list(1, 3, 4), key, 2, next).items).toEqual(list(3, 4))
    expect(pageOf([], key, 2, next)).toEqual({ items: [] })
  })

  it('refuse a cursor that no list gave out', () => {
    expect(() => pageOf(list(1), key, 2, 'nonsense')).toThrow(/cursor/)
    expect(() => pageOf(list(1), key, 2, Buffer.from('{}').toString('base64url'))).toThrow(/cursor/)
  })
})
