/** A user's way through the console, in a real browser. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Console, noBrowser, openConsole } from './browser.ts'

describe.skipIf(noBrowser !== undefined)('the console', () => {
  let console: Console
  beforeAll(async () => {
    console = await openConsole()
    await console.page.goto(console.url)
  })
  afterAll(() => console.close())

  it('composes a platform from a topology and powers it on', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'New…' }).click()
    const form = page.getByRole('form', { name: 'New platform' })
    await form.getByRole('combobox').selectOption('one-socket-82576')
    await form.getByRole('button').click()
    await page.getByRole('button', { name: 'Ethernet PF 01:00.0' }).waitFor()
  })

  it('enables virtual functions, which appear on the map', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Ethernet PF 01:00.0' }).click()
    const form = page.getByRole('form', { name: 'Virtual functions' })
    await form.getByRole('spinbutton').fill('2')
    await form.getByRole('button').click()
    await page.getByRole('button', { name: 'Ethernet VF 01:10.2' }).waitFor()
    expect(await page.locator('.vf').count()).toBe(2)
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

  it('assigns one function by form and one by dragging it', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0' }).click()
    const form = page.getByRole('form', { name: 'Assignment' })
    await form.getByRole('combobox').selectOption('alpha')
    await form.getByRole('button').click()
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0 → alpha' }).waitFor()

    await page.getByRole('button', { name: 'Ethernet VF 01:10.2' }).hover()
    await page.mouse.down()
    await page.getByRole('button', { name: 'Virtual machine beta' }).hover()
    await page.mouse.up()
    await page.getByRole('button', { name: 'Ethernet VF 01:10.2 → beta' }).waitFor()
    expect(await page.locator('path.assignment').count()).toBe(2)
  })

  it('fires a DMA into a fault and explains it by the tables walked', async () => {
    const { page } = console
    await page.getByRole('button', { name: 'Ethernet VF 01:10.0' }).click()
    const form = page.getByRole('form', { name: 'DMA' })
    await form.getByRole('textbox').fill('0x9000000')
    await form.getByRole('button').click()
    await page.getByText('0x05: write without write permission').waitFor()
    await page.getByRole('link', { name: 'see the tables walked' }).click()
    await page.getByText('What would repair it').waitFor()
    expect(await page.locator('.walk > li').last().textContent()).toContain('second-stage entry of level')
  })

  it('says that the virtual machines are isolated', async () => {
    const { page } = console
    await page.getByRole('link', { name: 'Isolation' }).click()
    await page.getByText('are isolated from each other').waitFor()
  })

  it('runs an experiment and shows its plot', async () => {
    const { page } = console
    await page.getByRole('link', { name: 'Experiments' }).click()
    const form = page.getByRole('form', { name: 'New experiment' })
    await form.getByRole('spinbutton').fill('2')
    await form.getByRole('button').click()
    await page.frameLocator('iframe').locator('svg').first().waitFor()
  })

  it.each(['machine', 'walk', 'groups', 'isolation', 'events', 'experiments'])(
    'has no serious violation of accessibility: %s',
    async view => {
      const { page } = console
      await page.getByRole('link', { name: new RegExp(`^${view}`, 'i') }).click()
      await page.waitForTimeout(300)
      const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
      await page.evaluate(source)
      const violations = (await page.evaluate(
        'axe.run(document, { iframes: false }).then(({ violations }) => violations)',
      )) as {
        readonly id: string
        readonly impact: string
        readonly nodes: readonly { readonly html: string }[]
      }[]
      expect(
        violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(
            ({ id, nodes }) =>
              `${id}: ${nodes
                .map(({ html }) => html)
                .join(' ')
                .slice(0, 300)}`,
          ),
      ).toEqual([])
    },
  )

  it('works by keyboard: functions are reached by tabs and chosen by Enter', async () => {
    const { page } = console
    await page.getByRole('link', { name: 'Machine' }).click()
    await page.getByRole('button', { name: 'NVMe PF' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'NVMe PF 03:00.0' }).waitFor()
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.tagName')).not.toBe('BODY')
  })

  it('has nothing to complain of', () => {
    expect(console.complaints).toEqual([])
  })
})
