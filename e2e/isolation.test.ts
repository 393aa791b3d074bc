/** What the page about isolation mends besides paging and interrupt entries: a context entry, and a bit of access control. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACS_BIT } from '../src/pcie/formats/index.ts'
import { type Console, noBrowser, openConsole } from './browser.ts'

const PLATFORM = 'two-cards'
/** Each below a port of its own of a switch with access control services. */
const TENANTS = [
  { vm: 'blue', function: '0000:09:00.0' },
  { vm: 'red', function: '0000:0a:00.0' },
] as const

describe.skipIf(noBrowser !== undefined)('the page about isolation', () => {
  let console: Console
  beforeAll(async () => {
    console = await openConsole()
    const { call, page, url } = console
    await call('createPlatform', { topology: 'switch-without-acs', name: PLATFORM })
    for (const { vm, function: address } of TENANTS) {
      await call('createVm', { platform: PLATFORM, name: vm, vcpus: 1, memoryMiB: 16 })
      await call('attach', { platform: PLATFORM, vm, function: address })
    }
    await page.goto(`${url}/#view=isolation&platform=${PLATFORM}`)
    await page.getByText('blue and red are isolated from each other').waitFor()
  })
  afterAll(() => console.close())

  it('writes a context entry anew: the card walks its own tables again', async () => {
    const { page, call } = console
    const [{ function: card }] = TENANTS
    // "Translation Type" 10b: requests pass untranslated.
    const fault = { kind: 'tableBit', function: card, table: 'context', bit: 3 } as const
    await call('injectFault', { platform: PLATFORM, fault })
    await page.getByText('blue and red are not isolated').waitFor()
    await page
      .getByText(/What would repair it: point the context entry at 0x/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: 'Repair', exact: true }).first().click()
    await page.getByText('Repaired.').waitFor()
    await page.getByText('blue and red are isolated from each other').waitFor()
    const request = { platform: PLATFORM, function: card, direction: 'write', data: '01' } as const
    const { parts } = await call('dma', { ...request, address: '0x10000000' })
    expect(parts[0]!.outcome).toBe('fault')
  })

  it('sets the bit of access control that a port lost: requests go up to the remapping unit again', async () => {
    const { page, platform } = console
    const machine = platform(PLATFORM)
    const port = machine.functionAt(machine.host.find(TENANTS[0].function).parent!)
    const control = port.layout.acs + 4
    const right = port.readConfig(control)
    port.writeConfig(control, (right & ~(ACS_BIT.RR << 16)) >>> 0, 0xffff_ffff)
    await page.reload()
    await page.getByText('blue and red are not isolated').waitFor()
    await page.getByText('enable P2P Request Redirect (RR) in ACS control of').first().waitFor()
    await page.getByRole('button', { name: 'Repair', exact: true }).first().click()
    await page.getByText('Repaired.').waitFor()
    await page.getByText('blue and red are isolated from each other').waitFor()
    expect(port.readConfig(control)).toBe(right)
    expect(console.complaints).toEqual([])
  })
})
