/** Registers, queue, faults and interrupts: what the specification says, and how a unit with each quirk departs from it. */
import { describe, expect, test } from 'vitest'
import { NO_QUIRKS, type QuirkName } from '../../src/vtd/index.ts'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const QIES = 2 ** 26
const CFIS = 2 ** 23
const IQE = 0x10
const [PPF, PFO] = [2, 1]
const wait = (data: number, bits = 0x20) => BigInt(data) * 2n ** 32n + BigInt(bits) + 5n
const unmapped = 0x10_0000_0000

const unit = (quirk: QuirkName | undefined, capabilities: Record<string, number> = {}) =>
  new TestUnit({ capabilities, ...(quirk && { quirks: { ...NO_QUIRKS, [quirk]: true } }) })

/** What a unit does by the specification, and with the quirk. */
function differ<Answer>(
  quirk: QuirkName,
  act: (t: TestUnit) => Answer,
  bySpecification: Answer,
  withQuirk: Answer,
  capabilities: Record<string, number> = {},
): void {
  expect(act(unit(undefined, capabilities))).toEqual(bySpecification)
  expect(act(unit(quirk, capabilities))).toEqual(withQuirk)
}

describe('"Global Command Register"', () => {
  test('QIES follows QIE, whatever is in the queue', () => {
    differ(
      'queueDisableRefused',
      t => {
        t.enableQueue()
        t.submit(0x12)
        t.command(26, 0)
        return [t.read32(0x1c) & QIES, t.read64(0x80)]
      },
      [0, 0n],
      [QIES, 16n],
    )
    const t = unit('queueDisableRefused').enableQueue()
    t.submit(wait(1), F.STATUS_WORD)
    t.command(26, 0)
    expect(t.read32(0x1c) & QIES).toBe(0)
  })

  test('CFIS follows CFI', () => {
    differ(
      'cfisNeverSet',
      t => {
        t.command(23)
        return t.read32(0x1c) & CFIS
      },
      CFIS,
      0,
    )
  })
})

describe('"Queued Invalidation Interface"', () => {
  test('the queue goes on at its head once IQE is cleared', () => {
    differ(
      'queueResumesAtTailWrite',
      t => {
        t.enableQueue()
        const at = t.submit(0)
        t.store(at, wait(1))
        t.store(at + 8, F.STATUS_WORD)
        t.write32(0x34, IQE)
        const first = t.load(F.STATUS_WORD)
        t.write64(0x88, t.read64(0x88))
        return [first, t.load(F.STATUS_WORD), t.read64(0x80)]
      },
      [1n, 1n, 16n],
      [0n, 1n, 16n],
    )
  })

  test('a wait descriptor may ask for neither status nor interrupt', () => {
    differ(
      'emptyWaitRejected',
      t => {
        t.enableQueue()
        t.submit(wait(0, 0))
        return [t.read32(0x34), t.read64(0x80)]
      },
      [0, 16n],
      [IQE, 0n],
    )
  })

  test('device-TLB descriptors are invalid without ECAP.DT', () => {
    differ(
      'deviceTlbDescriptorAcceptedWithoutDt',
      t => {
        t.enableQueue()
        t.submit(3)
        return [t.read32(0x34), t.deviceTlbInvalidations.length]
      },
      [IQE, 0],
      [0, 0],
    )
  })

  test('IQA reads what was written', () => {
    differ(
      'iqaBaseHiddenUntilQie',
      t => {
        t.write64(0x90, F.QUEUE + 3)
        const before = t.read64(0x90)
        t.command(26)
        return [before, t.read64(0x90)]
      },
      [BigInt(F.QUEUE) + 3n, BigInt(F.QUEUE) + 3n],
      [3n, BigInt(F.QUEUE) + 3n],
    )
  })

  test('domain-selective context-cache invalidation leaves other domains alone', () => {
    differ(
      'contextDomainInvalidationIsGlobal',
      t => {
        t.enableTranslation()
        t.dma(F.IOVA)
        t.write64(0x28, (1n << 63n) | (2n << 61n) | 0x55n)
        return [(t.read64(0x28) >> 59n) & 3n, t.unit.caches().context.length]
      },
      [2n, 1],
      [1n, 0],
    )
  })
})

describe('"Interrupt Remapping Table Address Register"', () => {
  test('EIME is reserved without ECAP.EIM', () => {
    differ(
      'eimeWritableWithoutEim',
      t => {
        t.write64(0xb8, F.IRT + 0x800 + 7)
        return t.read64(0xb8) & 0x800n
      },
      0n,
      0x800n,
      { EIM: 0 },
    )
  })
})

describe('fault recording', () => {
  test('a source with an unserviced record is recorded again, until there is no room', () => {
    differ(
      'faultCompression',
      t => {
        t.enableTranslation()
        t.dma(unmapped)
        t.dma(unmapped)
        t.dma(unmapped, { sid: 0x0318 })
        return [t.read32(0x34), t.record(0).sid, t.record(1).sid]
      },
      [PPF | PFO, F.SID, F.SID],
      [PPF, F.SID, 0x0318],
      { NFR: 1 },
    )
  })

  test('bits of the address from MGAW on are 0', () => {
    differ(
      'faultAddressAboveMgaw',
      t => {
        t.enableTranslation()
        t.dma(2 ** 40 + 0x5000)
        return t.record().address
      },
      0x5000n,
      0x100_0000_5000n,
      { MGAW: 38 },
    )
  })

  test('FECTL.IP is clear as soon as all conditions are serviced', () => {
    differ(
      'fectlIpKeptUntilFstsWrite',
      t => {
        t.enableTranslation()
        t.dma(unmapped)
        t.write32(F.SERVER_FRCD + 12, 0x8000_0000)
        const before = t.read32(0x38)
        t.write32(0x34, 0)
        return [before, t.read32(0x38)]
      },
      [0x8000_0000, 0x8000_0000],
      [0xc000_0000, 0x8000_0000],
    )
  })
})

describe('interrupt remapping', () => {
  const REQUEST = 0xfee0_0010 + 5 * 32
  const remapped = (t: TestUnit, low: bigint, high = 0n) => {
    t.enableInterruptRemapping()
    t.store(F.IRT + 5 * 16, low)
    t.store(F.IRT + 5 * 16 + 8, high)
    return t.interrupt(REQUEST)
  }
  const PLAIN = 0x0000_1200_0041_0001n

  test('compatibility format is blocked while CFIS is clear, and with EIME always', () => {
    differ(
      'compatibilityFormatNotBlocked',
      t => {
        t.enableInterruptRemapping({ eime: true })
        return t.interrupt(0xfee1_2000, 0x41)
      },
      0x25,
      0,
    )
  })

  test('SVT=10 reads SID as first and last bus', () => {
    differ('sourceValidationBusRangeSwapped', t => remapped(t, PLAIN, 0x8_0205n), 0, 0x26)
    differ('sourceValidationBusRangeSwapped', t => remapped(t, PLAIN, 0x8_0502n), 0x26, 0)
  })

  test('SVT=11 is a reserved encoding', () => {
    differ('reservedSvtReportedAsSourceIdFailure', t => remapped(t, PLAIN, 0xc_0000n), 0x24, 0x26)
  })

  test('IM is reserved without CAP.PI', () => {
    differ('irteModeBitNotChecked', t => remapped(t, PLAIN + 0x8000n), 0x24, 0)
  })
})
