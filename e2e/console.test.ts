/** A user's way through the console, in a real browser. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seriousViolations } from './accessibility.ts'
import { type Console, noBrowser, openConsole } from './browser.ts'

const VIEWS = ['Machine', 'Compose', 'Functions', 'Walk', 'Groups', 'Isolation', 'Live', 'Experiments']

describe.skipIf(noBrowser !== undefined)('the console', () => {
  let console: Console
  beforeAll(async () => {
    console = await openConsole()
    await console.page.goto(console.url)
  })
  afterAll(() => console.close())

  const view = (name: string) =>
    console.page.getByRole('link', { name: new RegExp(`^${name}( \\d+)?$`) }).click()
  const verdict = () => console.page.locator('.verdict')

  it('composes a topology by hand: a socket, a unit, ports, a switch with functions below', async () => {
    const { page } = console
    await view('Compose')
    await verdict().getByText('keeps every rule').waitFor()
    await page.getByRole('button', { name: 'Socket', exact: true }).click()
    await page.getByRole('button', { name: /^Socket 1/ }).waitFor()
    await page.getByRole('button', { name: 'Back to the machine' }).click()
    await page.getByRole('button', { name: 'Remapping unit', exact: true }).click()
    await page.getByRole('form', { name: 'Attributes' }).getByLabel('name').fill('nvme-unit')
    await page.getByRole('form', { name: 'Attributes' }).getByRole('button').click()
    await page.getByRole('button', { name: /^Unit nvme-unit/ }).waitFor()

    await page.getByRole('button', { name: /^Host bridge 00/ }).click()
    await page.getByRole('button', { name: 'Root port', exact: true }).click()
    const add = page.getByRole('form', { name: 'Add function' })
    await add.getByRole('combobox').selectOption('intel-82576')
    await add.getByRole('button').click()
    await page.getByRole('button', { name: /^intel-82576 00.0/ }).waitFor()
    await page.getByText('up to 16').waitFor()

    await page.getByRole('button', { name: /^Host bridge 00/ }).click()
    await page.getByRole('button', { name: 'Root port', exact: true }).click()
    await page.getByRole('button', { name: 'Switch', exact: true }).click()
    await page.getByRole('button', { name: /^switch-downstream-port-acs 01.0/ }).click()
    await add.getByRole('combobox').selectOption('nvme-sriov')
    await add.getByRole('button').click()
    await page.getByRole('button', { name: /^nvme-sriov 00.0/ }).waitFor()
    await verdict().getByText('keeps every rule').waitFor()
  })

  it('moves a function by dragging it to another port, and by a form; takes steps back', async () => {
    const { page } = console
    const text = () => page.getByLabel('Topology document').inputValue()
    const before = await text()
    await page.getByRole('button', { name: /^nvme-sriov/ }).hover()
    await page.mouse.down()
    await page.getByRole('button', { name: /^switch-downstream-port-acs 00.0/ }).hover()
    await page.mouse.up()
    expect(await text()).not.toBe(before)
    await page.getByRole('button', { name: 'Undo' }).click()
    expect(await text()).toBe(before)
    await page.getByRole('button', { name: /^nvme-sriov/ }).click()
    const form = page.getByRole('form', { name: 'Move' })
    await form.getByRole('combobox').selectOption({ label: 'switch-downstream-port-acs · 00.0' })
    await form.getByRole('button').click()
    expect(await text()).not.toBe(before)
    await verdict().getByText('keeps every rule').waitFor()
  })

  it('shows at its line what the server finds wrong with the document, and takes the right one', async () => {
    const { page } = console
    const editor = page.getByLabel('Topology document')
    const right = await editor.inputValue()
    await editor.fill(right.replace('model: nvme-sriov', 'model: nvme-imaginary'))
    const mistake = page.locator('.mistakes li')
    await mistake.getByText('names no data sheet').waitFor()
    const line = right.split('\n').findIndex(row => row.includes('model: nvme-sriov')) + 1
    expect(await mistake.getByRole('button').textContent()).toBe(`line ${line}`)
    expect(await page.locator('.bad-line').count()).toBe(1)
    expect(await page.getByRole('button', { name: 'Build and power on' }).isDisabled()).toBe(true)

    await editor.fill(`${right}\nhost: [`)
    await mistake.first().waitFor()
    expect(await mistake.first().textContent()).toMatch(/^line \d+/)
    await editor.fill(right)
    await verdict().getByText('keeps every rule').waitFor()

    await page.getByRole('combobox', { name: 'as' }).selectOption('json')
    expect(JSON.parse(await editor.inputValue())).toMatchObject({ name: 'my-machine' })
    await verdict().getByText('keeps every rule').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('stored as my-machine').waitFor()
  })

  it('builds the platform from it and powers it on; sockets and units stand on the map', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Build and power on' }).click()
    await page.getByRole('button', { name: 'Ethernet PF 01:00.0' }).waitFor()
    await page.getByRole('button', { name: 'Unit dmar0' }).click()
    await page.getByRole('heading', { name: 'Remapping unit dmar0' }).waitFor()
    expect(await page.locator('.band').count()).toBeGreaterThan(0)
  })

  it('enables virtual functions, which appear on the map', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Ethernet PF 01:00.0' }).click()
    const form = page.getByRole('form', { name: 'Virtual functions' })
    await form.getByRole('spinbutton').fill('3')
    await form.getByRole('button').click()
    await page.getByRole('button', { name: 'Ethernet VF 01:10.4' }).waitFor()
    expect(await page.locator('.vf').count()).toBe(3)
  })

  it('creates two virtual machines', async () => {
    const { page } = console
    for (const name of ['alpha', 'beta']) {
      await page.evaluate("location.hash = location.hash.replace(/&selected=[^&]*/, '')")
      const form = page.getByRole('form', { name: 'New virtual machine' })
      await form.getByLabel('name').fill(name)
      await form.getByRole('button').click()
      await page.getByRole('button', { name: `Virtual machine ${name}` }).waitFor()
    }
  })

  it('assigns one function by keyboard and one by dragging it', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0' }).focus()
    await page.keyboard.press('Enter')
    const choice = page.getByRole('form', { name: 'Assignment' }).getByRole('combobox')
    await choice.focus()
    await page.keyboard.press('a')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0 → alpha' }).waitFor()

    await page.getByRole('button', { name: 'Ethernet VF 01:10.2' }).hover()
    await page.mouse.down()
    await page.getByRole('button', { name: 'Virtual machine beta' }).hover()
    await page.mouse.up()
    await page.getByRole('button', { name: 'Ethernet VF 01:10.2 → beta' }).waitFor()
    expect(await page.locator('path.assignment').count()).toBe(2)
  })

  it('fires a DMA into a fault, sees it live, and has it explained by the tables walked', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0' }).click()
    const form = page.getByRole('form', { name: 'DMA' })
    await form.getByRole('textbox').fill('0x9000000')
    await form.getByRole('button').click()
    await page.getByText('0x05: write without write permission').first().waitFor()
    await view('Live')
    await page.getByRole('button', { name: /^Faults [1-9]/ }).click()
    await page.locator('.virtual li.fault').first().waitFor()
    await page.getByRole('button', { name: 'Make traffic' }).click()
    await page.getByRole('button', { name: /^DMA [3-9]/ }).waitFor()
    await page.getByRole('button', { name: /^Interrupts [1-9]/ }).waitFor()
    await page.getByRole('button', { name: 'Stop the traffic' }).click()
    await view('Machine')
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0' }).click()
    await page.getByRole('link', { name: '0x9000000' }).click()
    await page.getByText('What would repair it').waitFor()
    expect(await page.locator('.walk > li').last().textContent()).toContain('second-stage entry of level')
  })

  it('repairs an isolation finding, which is gone then', async () => {
    const { page, call } = console
    await view('Isolation')
    await page.getByText('are isolated from each other').waitFor()
    const platform = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('platform')!
    const fault = { kind: 'interruptEntryBit', function: '0000:01:10.2', vector: 0, bit: 82 } as const
    await call('injectFault', { platform, fault })
    await page.getByText('are not isolated').waitFor()
    await page.getByText('accept 0000:01:10.2 alone').waitFor()
    await page.getByRole('button', { name: 'Repair', exact: true }).click()
    await page.getByText('Repaired.').waitFor()
    await page.getByText('are isolated from each other').waitFor()
    expect(await page.getByText('are not isolated').count()).toBe(0)
  })

  it('runs experiments, shows their plots, and compares two of them side by side', async () => {
    const { page } = console
    await view('Experiments')
    const form = page.getByRole('form', { name: 'New experiment' })
    for (const model of ['sriov', 'paravirtual']) {
      await form.getByRole('combobox').selectOption(model)
      await form.getByRole('spinbutton').fill('4')
      await form.getByRole('button').click()
      await page.getByRole('heading', { name: `Throughput of ${model}` }).waitFor()
      await page.getByRole('img', { name: /point by point/ }).waitFor()
      await page.frameLocator('iframe').locator('svg').first().waitFor()
    }
    const sides = page.getByRole('region', { name: 'Side by side' })
    await sides.getByRole('img', { name: /of both$/ }).waitFor()
    expect(await sides.locator('.series').count()).toBe(2)
    expect(await sides.locator('tbody tr').count()).toBe(3)
    await sides.getByRole('button', { name: 'Why, at 1' }).click()
    await sides.getByText('An operation takes').waitFor()
  })

  it('finds functions in a list by words', async () => {
    const { page } = console
    await view('Functions')
    await page.getByRole('searchbox').fill('alpha ethernet')
    await page.getByRole('status').getByText('1 of').waitFor()
    await page.getByRole('link', { name: /01:10\.0/ }).click()
    await page.getByRole('heading', { name: 'Ethernet VF 01:10.0' }).waitFor()
  })

  it.each(VIEWS)('has no serious violation of accessibility: %s', async name => {
    await view(name)
    await console.page.waitForTimeout(300)
    expect(await seriousViolations(console.page)).toEqual([])
  })

  it('works by keyboard: parts are reached by tabs, chosen by Enter, removed by Delete', async () => {
    const { page } = console
    await view('Machine')
    await page.getByRole('button', { name: 'NVMe PF' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: /^NVMe PF/ }).waitFor()
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.tagName')).not.toBe('BODY')

    await view('Compose')
    const switches = page.getByRole('button', { name: /^switch-downstream-port-acs/ })
    const before = await switches.count()
    await switches.last().focus()
    await page.keyboard.press('Delete')
    expect(await switches.count()).toBe(before - 1)
  })

  it('has nothing to complain of', () => {
    // The browser itself reports answers that refuse: that is how mistakes of a document are told.
    expect(console.complaints.filter(text => !/status of 422/.test(text))).toEqual([])
  })
})
