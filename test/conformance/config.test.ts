import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfigTrace } from '../../src/conformance/config-trace.ts'
import { readWidths, registerWidth, writeWidth } from '../../src/conformance/config-widths.ts'
import { checkConfig, configReportOf, tellConfigReport } from '../../src/conformance/index.ts'

const CAPTURES = fileURLToPath(new URL('../data/captures', import.meta.url))
const TRACE = 'pci-cfg-trace.log.gz'
const WITH_TRACES = readdirSync(CAPTURES).filter(
  name => !name.endsWith('.md') && readdirSync(join(CAPTURES, name)).includes(TRACE),
)
const folder = mkdtempSync(join(tmpdir(), 'config-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A copy of a capture with another recording, or other arguments. */
function changed(name: string, change: (files: { trace: string; args: string }) => void): string {
  const copy = join(mkdtempSync(join(folder, 'copy-')), name)
  cpSync(join(CAPTURES, name), copy, { recursive: true })
  const files = {
    trace: gunzipSync(readFileSync(join(copy, TRACE))).toString(),
    args: readFileSync(join(copy, 'topology.args'), 'utf8'),
  }
  change(files)
  writeFileSync(join(copy, TRACE), gzipSync(files.trace))
  writeFileSync(join(copy, 'topology.args'), files.args)
  return copy
}

describe('what SeaBIOS and Linux read of configuration space, from power-on', () => {
  it('was recorded on machines of many shapes', () => {
    expect(WITH_TRACES.length).toBe(14)
  })

  it.each(WITH_TRACES)(
    '%s: every read of a function is equal, and so is every read of an empty slot',
    name => {
      const capture = checkConfig(join(CAPTURES, name))
      expect(capture.differences).toEqual([])
      expect(capture.equal).toBe(capture.reads)
      expect(capture.reads).toBeGreaterThan(1500)
      expect(capture.emptyEqual).toBe(capture.emptyReads)
      expect(capture.emptyReads).toBeGreaterThan(8000)
    },
  )

  it('is not equal where the recording was changed: one line per register, counted in reads', () => {
    const copy = changed('strict', files => {
      // The status of the SATA controller, read several times.
      files.trace = files.trace.replaceAll('ich9-ahci 00:1f.2 @0x6 -> 0x10', 'ich9-ahci 00:1f.2 @0x6 -> 0x12')
    })
    const capture = checkConfig(copy)
    expect(capture.differences).toHaveLength(1)
    const [difference] = capture.differences
    expect(difference).toMatchObject({ function: '00:1f.2', offset: 6, recorded: 0x12, got: 0x10 })
    expect(capture.reads - capture.equal).toBe(difference!.reads)
    const report = configReportOf([capture, checkConfig(join(CAPTURES, 'eim'))])
    const lines = tellConfigReport(report).split('\n')
    expect(lines[0]).toMatch(
      /^strict: ich9-ahci 00:1f\.2 0x06 \(header 0x06\): \d+ reads, the first 0x12, here 0x10: /,
    )
    expect(lines.at(-1)).toBe(`${report.passed} passed, ${difference!.reads} failed`)
  })

  it('is not equal on a machine of other arguments', () => {
    const copy = changed('strict', files => {
      files.args = files.args.replace('pcie-root-port,id=rp1', 'ioh3420,id=rp1')
    })
    const capture = checkConfig(copy)
    expect(capture.differences.some(({ function: address }) => address === '00:01.0')).toBe(true)
  })

  it('counts a function in a slot that was recorded empty apart from the reads of functions', () => {
    const copy = changed('strict', files => {
      files.args += '\n-device edu,addr=10.0\n'
    })
    const capture = checkConfig(copy)
    expect(capture.equal).toBe(capture.reads)
    expect(capture.emptyEqual).toBeLessThan(capture.emptyReads)
    expect(new Set(capture.differences.map(({ model }) => model))).toEqual(new Set(['empty']))
  })

  it('skips a capture without a recording, and says why', () => {
    const capture = checkConfig(join(CAPTURES, 'no-intremap'))
    expect(tellConfigReport(configReportOf([capture]))).toBe(
      `no-intremap: skipped: holds no ${TRACE}\n0 passed, 0 failed`,
    )
  })

  it('names a device model that is not known', () => {
    const copy = changed('strict', files => {
      files.args += '\n-device vfio-pci,host=01:00.0\n'
    })
    expect(() => checkConfig(copy)).toThrow('strict: QEMU\'s device model "vfio-pci" is not known')
  })
})

describe('a line of the recording', () => {
  it('is a read or a write by bus, device, function and offset', () => {
    const [read, write] = parseConfigTrace(
      'pci_cfg_read pcie-root-port 00:01.2 @0x4a -> 0x8000\npci_cfg_write igb 0a:1f.7 @0x170 <- 0x2\n',
    )
    expect(read).toEqual({ write: false, model: 'pcie-root-port', rid: 0x000a, offset: 0x4a, value: 0x8000 })
    expect(write).toEqual({ write: true, model: 'igb', rid: 0x0aff, offset: 0x170, value: 2 })
  })

  it('is refused by its number when it is something else', () => {
    expect(() => parseConfigTrace('pci_cfg_read igb 01:00.0 @0x0 -> 0x8086\nnonsense')).toThrow(
      'line 2 is no configuration access: "nonsense"',
    )
  })
})

describe('the width of an access, which is not recorded', () => {
  const header = (layout: number) => ({
    capabilities: [
      { id: 0x10, extended: false, offset: 0x40, version: 0 },
      { id: 0x05, extended: false, offset: 0x80, version: 0 },
      { id: 0x10, extended: true, offset: 0x100, version: 1 },
    ],
    read: (offset: number) => (offset === 0x0c ? layout << 16 : offset === 0x80 ? 0x0080_0005 : 0),
    own: { '0x60': 1 },
  })

  it.each([
    ['Vendor ID', 0x00, 2],
    ['Command', 0x04, 2],
    ['Cache Line Size', 0x0c, 1],
    ['a base address', 0x10, 4],
    ['Device Control', 0x48, 2],
    ['Link Capabilities', 0x4c, 4],
    ['Message Address', 0x84, 4],
    ['Message Data of a 64-bit MSI', 0x8c, 2],
    ['NumVFs', 0x110, 2],
    ['a VF base address', 0x124, 4],
    ['a register that a model declares', 0x60, 1],
  ])('is at least that of the register: %s', (_, offset, width) => {
    expect(registerWidth(header(0), offset)).toBe(width)
  })

  it('is never less than the value needs, and aligned', () => {
    expect(readWidths(2, 0x00, 0x8086)).toEqual([4, 2])
    expect(readWidths(2, 0x00, 0x1_8086)).toEqual([4])
    expect(readWidths(1, 0x3d, 1)).toEqual([1])
    expect(readWidths(4, 0x02, 0x1234)).toEqual([2])
  })

  it('of a write is the least of these; windows of bridges are written base and limit at once', () => {
    expect(writeWidth(header(0), 0x04, 0x107)).toBe(2)
    expect(writeWidth(header(0), 0x04, 0x10_0507)).toBe(4)
    expect(writeWidth(header(1), 0x20, 0xfff0)).toBe(4)
    expect(writeWidth(header(1), 0x1c, 0xf0)).toBe(2)
    expect(writeWidth(header(1), 0x24, 0xff)).toBe(1)
    expect(writeWidth(header(1), 0x19, 0x3)).toBe(1)
  })
})
