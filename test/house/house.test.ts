import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { checkHouse } from '../../scripts/house.ts'

const roots: string[] = []

/** A house with these files below `src/`. */
function plant(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'northbridge-house-'))
  roots.push(root)
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, 'src', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return root
}

const checked = async (files: Record<string, string>) =>
  (await checkHouse(plant(files))).violations.join('\n')

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

describe('the house plan', () => {
  it('holds in this repository', async () => {
    const report = await checkHouse(process.cwd())
    expect(report.violations).toEqual([])
    expect(report.modules).toBe(report.files)
  })

  it('lets a room import from rooms above it', async () => {
    expect(
      await checked({
        'core/bits.ts': 'export const ALL = 1\n',
        'vtd/unit.ts': "import { ALL } from '../core/bits.ts'\nexport const unit = ALL\n",
      }),
    ).toBe('')
  })

  it('fails when a hardware room imports from a room below it', async () => {
    expect(
      await checked({
        'host/kernel.ts': 'export const kernel = 1\n',
        'vtd/unit.ts': "import { kernel } from '../host/kernel.ts'\nexport const unit = kernel\n",
      }),
    ).toContain('floor-vtd: src/vtd/unit.ts → src/host/kernel.ts')
  })

  it('fails when software imports a hardware part instead of the machine port', async () => {
    expect(
      await checked({
        'vtd/unit.ts': 'export class Unit {}\n',
        'host/driver.ts': "import { Unit } from '../vtd/unit.ts'\nexport const driver = new Unit()\n",
      }),
    ).toContain('door-machine-port: src/host/driver.ts → src/vtd/unit.ts')
  })

  it('fails on a type-only import, too', async () => {
    expect(
      await checked({
        'vtd/unit.ts': 'export class Unit {}\n',
        'host/driver.ts': "import type { Unit } from '../vtd/unit.ts'\nexport type Driver = Unit\n",
      }),
    ).toContain('door-machine-port: src/host/driver.ts → src/vtd/unit.ts')
  })

  it('lets software use formats and the machine port', async () => {
    expect(
      await checked({
        'vtd/formats/registers.ts': 'export const GCMD = 0x18\n',
        'platform/machine-port.ts': 'export interface MachinePort { readDword(address: number): number }\n',
        'host/driver.ts':
          "import type { MachinePort } from '../platform/machine-port.ts'\n" +
          "import { GCMD } from '../vtd/formats/registers.ts'\n" +
          'export const command = (machine: MachinePort) => machine.readDword(GCMD)\n',
      }),
    ).toBe('')
  })

  it('lets only firmware read the board', async () => {
    const files = {
      'platform/board.ts': 'export interface Board { ram: number }\n',
      'firmware/boot.ts': "import type { Board } from '../platform/board.ts'\nexport type B = Board\n",
    }
    expect(await checked(files)).toBe('')
    expect(
      await checked({
        ...files,
        'host/boot.ts': "import type { Board } from '../platform/board.ts'\nexport type B = Board\n",
      }),
    ).toContain('door-machine-port: src/host/boot.ts → src/platform/board.ts')
  })

  it('fails when a guest knows its host', async () => {
    expect(
      await checked({
        'host/kernel.ts': 'export const kernel = 1\n',
        'guest/kernel.ts': "import { kernel } from '../host/kernel.ts'\nexport const guest = kernel\n",
      }),
    ).toContain('door-guest')
  })

  it('fails when it saw fewer modules than there are source files', async () => {
    const unseen = { 'core/node_modules/hidden.ts': 'export const hidden = 1\n' }
    expect(await checked({ 'core/bits.ts': 'export const ALL = 1\n', ...unseen })).toContain(
      'saw-too-little: 1 modules were seen, but there are 2 source files',
    )
    expect(await checked(unseen)).toContain('saw-too-little')
  })

  it('fails when it saw no import at all, as a parser that cannot read the sources would', async () => {
    expect(
      await checked({ 'core/bits.ts': 'export const ALL = 1\n', 'core/hex.ts': 'export const A = 1\n' }),
    ).toContain('saw-too-little: not one import was seen in 2 source files')
  })

  it('fails on clocks and promises below the faces, and on bigint in hardware', async () => {
    const text =
      'export const now = () => Date.now()\n// Date in a comment is no harm\nexport const one = 1n\n'
    const violations = await checked({ 'vtd/clock.ts': text, 'api/clock.ts': text })
    expect(violations).toContain('banned: src/vtd/clock.ts:1 says Date')
    expect(violations).toContain('banned: src/vtd/clock.ts:3 says 1n')
    expect(violations).not.toContain('clock.ts:2')
    expect(violations).not.toContain('src/api')
  })

  it('fails on a folder that is no room', async () => {
    expect(await checked({ 'misc/things.ts': 'export const thing = 1\n' })).toContain(
      'unknown room: src/misc',
    )
  })
})
