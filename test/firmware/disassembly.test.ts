import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { boot, shipped } from './boot.ts'

const IASL = '/usr/bin/iasl'
/** iasl knows SATC only since 2021; it is the last of our structures, so nothing behind it goes unread. */
const UNKNOWN_TO_OLD_IASL = /0005 \[Unknown Subtable Type\]|Unknown DMAR subtable type 0x5/g

const everything: TopologyDocument = {
  name: 'everything',
  hpet: true,
  processors: [{ numaNode: 0, logicalProcessors: 300 }],
  memory: [{ numaNode: 0, sizeMiB: 512 }],
  iommu: {
    kind: 'intel-vtd',
    interruptRemapping: true,
    units: [{ id: 'unit', includeAll: true, numaNode: 0 }],
    atsPorts: [{ functions: ['00:01.0'] }],
    integratedCaches: [{ functions: ['00:04.0'] }],
    namespaceDevices: [{ unit: 'unit', number: 1, path: '\\_SB.PCI0.I2C0', requesterId: '00:15.0' }],
  },
  reservedMemory: [{ base: '0x1e000000', limit: '0x1e00ffff', functions: ['00:04.0'] }],
  hostBridges: [
    {
      devices: [
        { at: '01.0', model: 'root-port' },
        { at: '04.0', model: 'ats-accelerator' },
      ],
    },
  ],
}

describe.runIf(existsSync(IASL))('ACPI tables, read by iasl', () => {
  it.each([['everything', everything] as const, ...shipped()])(
    'of %s have no warning and no error',
    (_, document) => {
      const folder = mkdtempSync(join(tmpdir(), 'northbridge-acpi-'))
      try {
        const { platform, report } = boot(document)
        const files = report.tables
          .filter(({ signature }) => signature !== 'RSDP')
          .map(({ signature, address, length }) => {
            const bytes = new Uint8Array(length)
            platform.port.readBytes(address, bytes)
            const file = join(folder, `${signature}.dat`)
            writeFileSync(file, bytes)
            return file
          })
        const run = spawnSync(IASL, ['-d', ...files], { encoding: 'utf8' })
        expect(run.status).toBe(0)
        const said = [
          run.stdout,
          run.stderr,
          ...files.map(file => readFileSync(`${file.slice(0, -3)}dsl`, 'utf8')),
        ]
        for (const text of said) {
          expect(text.replaceAll(UNKNOWN_TO_OLD_IASL, '')).not.toMatch(
            /warning|error|invalid|unknown|truncated/i,
          )
        }
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )
})
