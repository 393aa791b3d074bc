import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Guard, openTokenBook, type TokenBook } from '../../src/access/index.ts'

const NOW = 1_000_000
let folder = ''
let book: TokenBook
let other: TokenBook
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'northbridge-tokens-'))
  book = (await openTokenBook({ data: folder }))!
  other = (await openTokenBook({ data: folder }))!
})
afterAll(async () => {
  await book.close()
  await other.close()
  rmSync(folder, { recursive: true })
})

const codeOf = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return (error as { code: string }).code
  }
}
const bearer = (text: string) => `Bearer ${text}`

describe('a token', () => {
  it('is known by its digest only: its secret is in no file', async () => {
    const { text, record } = await book.create({ role: 'viewer', note: 'for the wall' }, NOW)
    expect(text).toMatch(/^nb_[0-9a-f]{12}_[\w-]{43}$/)
    const secret = text.slice(16)
    expect(JSON.stringify(await book.tokens())).not.toContain(secret)
    for (const name of ['northbridge.sqlite', 'northbridge.sqlite-wal']) {
      expect(readFileSync(join(folder, name)).includes(secret)).toBe(false)
    }
    expect(record).toMatchObject({ role: 'viewer', note: 'for the wall', createdMs: NOW, revoked: false })
  })

  it('says who somebody is, and for which namespace', async () => {
    const { text, record } = await book.create({ role: 'operator', namespace: 'red' }, NOW)
    const guard = await Guard.open({ book })
    expect(guard.identify(bearer(text))).toEqual({ role: 'operator', namespace: 'red', name: record.id })
    expect(guard.identify(`bearer  ${text}`).name).toBe(record.id)
    expect(guard.namespaces).toEqual(new Set(['red']))
  })

  it('of another secret, of none, or of a wrong form is refused in one way', async () => {
    const { text, record } = await book.create({ role: 'admin' }, NOW)
    const guard = await Guard.open({ book })
    const forged = `nb_${record.id}_${'A'.repeat(43)}`
    const texts = [forged, `nb_${'0'.repeat(12)}_${text.slice(16)}`, 'nb_', '', text.slice(0, -1)]
    const messages = texts.map(wrong => {
      try {
        guard.identify(bearer(wrong))
        return 'taken'
      } catch (error) {
        return (error as Error).message
      }
    })
    expect(new Set(messages).size).toBe(1)
    expect(messages[0]).toContain('not valid')
    expect(codeOf(() => guard.identify(`Basic ${text}`))).toBe('unauthenticated')
    expect(codeOf(() => guard.identify(undefined))).toBe('unauthenticated')
  })

  it('that was revoked by another process is refused as soon as the guard has looked', async () => {
    const { text, record } = await book.create({ role: 'admin' }, NOW)
    const guard = await Guard.open({ book })
    const principal = guard.identify(bearer(text))
    await other.revoke(record.id)
    expect(guard.isStillValid(principal)).toBe(true)
    await guard.refresh()
    expect(guard.isStillValid(principal)).toBe(false)
    expect(codeOf(() => guard.identify(bearer(text)))).toBe('unauthenticated')
    await expect(book.revoke(record.id)).rejects.toMatchObject({ code: 'alreadyDone' })
    await expect(book.revoke('nobody')).rejects.toMatchObject({ code: 'notFound' })
  })

  it('is refused from the moment on at which it expires', async () => {
    const { text } = await book.create({ role: 'admin', expiresMs: NOW + 10 }, NOW)
    let now = NOW + 9
    const guard = await Guard.open({ book, nowMs: () => now })
    expect(guard.identify(bearer(text)).role).toBe('admin')
    now++
    expect(codeOf(() => guard.identify(bearer(text)))).toBe('unauthenticated')
    await expect(book.create({ role: 'admin', expiresMs: NOW }, NOW)).rejects.toThrow('in the future')
  })

  it.each(['', 'Red', '-red', 'a/b', '@red', 'x'.repeat(64), '..'])(
    'cannot be for a namespace "%s"',
    async name => {
      await expect(book.create({ role: 'viewer', namespace: name }, NOW)).rejects.toMatchObject({
        code: 'invalidArgument',
      })
    },
  )
})

describe('a guard', () => {
  it('lets everybody pass where no token was ever made', async () => {
    const guard = await Guard.open()
    expect(guard.demands).toBe(false)
    expect(guard.identify(undefined).role).toBe('admin')
  })

  it('does not open when all tokens are revoked', async () => {
    const place = mkdtempSync(join(tmpdir(), 'northbridge-tokens-'))
    const own = (await openTokenBook({ data: place }))!
    const { record } = await own.create({ role: 'admin' }, NOW)
    await own.revoke(record.id)
    const guard = await Guard.open({ book: own })
    expect(guard.demands).toBe(true)
    await guard.close()
    rmSync(place, { recursive: true })
  })

  it('takes the secret of the environment for that of an administrator, if it is long enough', async () => {
    const secret = 'correct-horse-battery-staple'
    const guard = await Guard.open({ secret })
    expect(guard.identify(bearer(secret))).toMatchObject({ role: 'admin', namespace: undefined })
    expect(codeOf(() => guard.identify(bearer(`${secret}r`)))).toBe('unauthenticated')
    await expect(Guard.open({ secret: 'short' })).rejects.toThrow('at least 24')
  })
})
