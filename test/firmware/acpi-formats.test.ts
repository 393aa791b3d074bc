import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import {
  decodeDmar,
  decodeHpet,
  decodeMadt,
  decodeMcfg,
  decodeRsdp,
  decodeSrat,
  decodeXsdt,
  encodeDmar,
  encodeHpet,
  encodeMadt,
  encodeMcfg,
  encodeRsdp,
  encodeSrat,
  encodeXsdt,
  proximityDomainOf,
} from '../../src/platform/formats/acpi/index.ts'

const CAPTURES = join(import.meta.dirname, '../data/captures')

const CODECS = {
  DMAR: (bytes: Uint8Array) => encodeDmar(decodeDmar(bytes)),
  APIC: (bytes: Uint8Array) => encodeMadt(decodeMadt(bytes)),
  MCFG: (bytes: Uint8Array) => encodeMcfg(decodeMcfg(bytes)),
  SRAT: (bytes: Uint8Array) => encodeSrat(decodeSrat(bytes)),
  HPET: (bytes: Uint8Array) => encodeHpet(decodeHpet(bytes)),
} as const
type Signature = keyof typeof CODECS

const captured = (Object.keys(CODECS) as Signature[]).flatMap(signature =>
  readdirSync(CAPTURES).flatMap(name => {
    const path = join(CAPTURES, name, 'acpi', `${signature}.bin`)
    return existsSync(path) ? [{ name, signature, bytes: new Uint8Array(readFileSync(path)) }] : []
  }),
)

/** A table around `body`: signature, length and checksum right, the rest arbitrary. */
function table(signature: string, body: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(36 + body.length)
  bytes.set(Buffer.from(signature.padEnd(4)), 0)
  new DataView(bytes.buffer).setUint32(4, bytes.length, true)
  bytes[8] = 1
  bytes.set(Buffer.from('OEM   TABLE   '), 10)
  bytes.set(body, 36)
  return withChecksum(bytes)
}

function withChecksum(bytes: Uint8Array): Uint8Array {
  bytes[9] = 0
  bytes[9] = 256 - (bytes.reduce((sum, byte) => sum + byte, 0) % 256)
  return bytes
}

const refusal = (action: () => unknown): NorthbridgeError => {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(NorthbridgeError)
    return error as NorthbridgeError
  }
  return expect.unreachable('it is refused')
}

const DMAR_FIXED = [46, 0b101, ...new Array<number>(10).fill(0)]

describe('ACPI tables of real machines', () => {
  it('are there for every capture', () => {
    expect(captured.filter(({ signature }) => signature === 'DMAR').length).toBe(57)
    expect(captured.filter(({ signature }) => signature === 'MCFG').length).toBe(59)
    expect(captured.filter(({ signature }) => signature === 'APIC').length).toBe(59)
    expect(captured.filter(({ signature }) => signature === 'SRAT').length).toBe(1)
  })

  it('decode and encode to the same bytes', () => {
    for (const { name, signature, bytes } of captured) {
      expect(Buffer.from(CODECS[signature](bytes)).toString('hex'), `${name} ${signature}`).toBe(
        Buffer.from(bytes).toString('hex'),
      )
    }
  })

  it('with any byte changed, are refused or still decode and encode to the same bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...captured),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        ({ signature, bytes }, position, value) => {
          const changed = bytes.slice()
          changed[36 + (position % (bytes.length - 36))] = value
          withChecksum(changed)
          try {
            expect(CODECS[signature](changed)).toEqual(changed)
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
            expect(error.code).toBe('malformedInput')
          }
        },
      ),
      { numRuns: 3000 },
    )
  })
})

describe('DMAR', () => {
  it('gives the host address width as the field plus one', () => {
    const dmar = decodeDmar(table('DMAR', DMAR_FIXED))
    expect(dmar.hostAddressWidth).toBe(47)
    expect(dmar.flags).toBe(5)
    expect(dmar.structures).toEqual([])
  })

  it('names units, their scopes and paths', () => {
    const bytes = table('DMAR', [
      ...DMAR_FIXED,
      ...[0, 0, 26, 0, 0, 0, 1, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0], // DRHD, segment 1
      ...[2, 10, 0, 0, 7, 0x40, 0x1c, 3, 0x02, 1], // bridge 40:1c.3, then 02.1 below
    ])
    expect(decodeDmar(bytes).structures).toEqual([
      {
        kind: 'DRHD',
        flags: 0,
        size: 0,
        segment: 1,
        registerBase: 0xfed9_0000,
        scopes: [
          {
            type: 2,
            enumerationId: 7,
            startBus: 0x40,
            path: [
              { device: 0x1c, fn: 3 },
              { device: 2, fn: 1 },
            ],
          },
        ],
      },
    ])
  })

  it('keeps structures of unknown types and reserved bytes that are not zero', () => {
    const bytes = table('DMAR', [
      ...[46, 0, 0xaa, ...new Array<number>(9).fill(0)],
      ...[3, 0, 20, 0, 9, 8, 7, 6, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0, 5, 0, 0, 0], // RHSA with reserved bytes
      ...[0x77, 0x66, 6, 0, 1, 2],
      ...[4, 0, 14, 0, 0, 0, 0, 3, 0x5c, 0x5f, 0x53, 0x42, 0x2e, 0], // ANDD
    ])
    const { structures } = decodeDmar(bytes)
    expect(structures.map(structure => structure.kind)).toEqual(['RHSA', 'unknown', 'ANDD'])
    expect(CODECS.DMAR(bytes)).toEqual(bytes)
  })

  it('with a broken rule names the offset and the rule', () => {
    const scope = [0, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 1, 0, 2]
    const cases: readonly (readonly [Uint8Array, string, string])[] = [
      [table('DMAR', [...DMAR_FIXED, 0, 0, 0, 0]), '0x30', 'no room for its header'],
      [table('DMAR', [...DMAR_FIXED, 0, 0, 17, 0]), '0x30', 'ends beyond the table'],
      [table('DMAR', [...DMAR_FIXED, 0, 0]), '0x30', 'type and its length'],
      [table('DMAR', [...DMAR_FIXED, 0, 0, 8, 0, 0, 0, 0, 0]), '0x30', 'needs 16 bytes'],
      [table('DMAR', [...DMAR_FIXED, ...scope]), '0x41', 'pairs of device and function'],
      [table('DMAR', [46]), '0x24', 'needs 12 bytes'],
      [table('DRAM', DMAR_FIXED), '0x0', '"DRAM"'],
      [table('DMAR', DMAR_FIXED).subarray(0, 40), '0x4', 'there are 40 bytes'],
      [table('DMAR', DMAR_FIXED).fill(1, 40, 41), '0x9', 'modulo 256'],
    ]
    for (const [bytes, offset, rule] of cases) {
      const { code, message } = refusal(() => decodeDmar(bytes))
      expect(code).toBe('malformedInput')
      expect(message).toContain(`at offset ${offset}:`)
      expect(message).toContain(rule)
    }
  })
})

describe('MADT', () => {
  it('lists processors, I/O APICs, overrides and NMI entries', () => {
    const bytes = table('APIC', [
      ...[0, 0, 0xe0, 0xfe, 1, 0, 0, 0],
      ...[0, 8, 4, 6, 1, 0, 0, 0],
      ...[1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0],
      ...[2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
      ...[4, 6, 0xff, 0, 0, 1],
      ...[9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0],
    ])
    expect(decodeMadt(bytes)).toMatchObject({
      localApicAddress: 0xfee0_0000,
      flags: 1,
      entries: [
        { kind: 'localApic', processorUid: 4, apicId: 6, flags: 1 },
        { kind: 'ioApic', ioApicId: 2, address: 0xfec0_0000, interruptBase: 24 },
        { kind: 'interruptSourceOverride', bus: 0, source: 9, interrupt: 9, flags: 0x0d },
        { kind: 'localApicNmi', processorUid: 0xff, flags: 0, lint: 1 },
        { kind: 'localX2Apic', apicId: 0x100, flags: 1, processorUid: 3 },
      ],
    })
  })

  it('refuses an entry of a length that its type does not have', () => {
    const bytes = table('APIC', [0, 0, 0xe0, 0xfe, 1, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
    expect(refusal(() => decodeMadt(bytes)).message).toContain('localApic takes 8 bytes, not 9')
  })
})

describe('SRAT', () => {
  it('splits the proximity domain of a local APIC over two fields', () => {
    const bytes = table('SRAT', [
      ...[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      ...[0, 16, 0x34, 5, 1, 0, 0, 0, 0, 0x12, 0, 0, 0, 0, 0, 0],
      ...[2, 24, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ])
    const domains = decodeSrat(bytes).entries.map(
      entry => entry.kind !== 'unknown' && proximityDomainOf(entry),
    )
    expect(domains).toEqual([0x1234, 9])
  })
})

describe('RSDP and XSDT', () => {
  it('are found by signature and checksum', () => {
    const rsdp = encodeRsdp({ oemId: 'MAKER ', revision: 2, rsdtAddress: 0, xsdtAddress: 0x1_2345_6780 })
    expect(rsdp.length).toBe(36)
    expect(Buffer.from(rsdp.subarray(0, 8)).toString()).toBe('RSD PTR ')
    expect(rsdp.subarray(0, 20).reduce((sum, byte) => sum + byte, 0) % 256).toBe(0)
    expect(rsdp.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0)
    expect([...rsdp.subarray(24, 32)]).toEqual([0x80, 0x67, 0x45, 0x23, 1, 0, 0, 0])
    expect(decodeRsdp(rsdp).xsdtAddress).toBe(0x1_2345_6780)
    rsdp[33] = 1
    expect(refusal(() => decodeRsdp(rsdp)).message).toContain('extended checksum')
  })

  it('hold 8-byte addresses', () => {
    const bytes = table('XSDT', [0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    const xsdt = decodeXsdt(bytes)
    expect(xsdt.addresses).toEqual([0x8000_0000, 0x1_0000_0000])
    expect(encodeXsdt(xsdt)).toEqual(bytes)
    expect(refusal(() => decodeXsdt(table('XSDT', [1, 2, 3]))).code).toBe('malformedInput')
  })

  it('refuse an address that no memory can have', () => {
    const bytes = table('XSDT', [0, 0, 0, 0, 0, 0, 0x20, 0])
    expect(refusal(() => decodeXsdt(bytes)).message).toContain('wider than 53 bits')
  })
})
