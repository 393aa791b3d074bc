/** What `npm start` opens on: a machine that runs, shown by a tour, with a hole that is mended on the way. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seriousViolations } from './accessibility.ts'
import { type Console, noBrowser, openConsole } from './browser.ts'

describe.skipIf(noBrowser !== undefined)('the example', () => {
  let console: Console
  beforeAll(async () => {
    console = await openConsole({ example: true })
    await console.page.goto(console.url)
  })
  afterAll(() => console.close())

  it('is led through by the tour, from the map to a machine of one’s own', async () => {
    const { page } = console
    const card = page.getByRole('complementary', { name: 'Guided tour' })
    const next = () => card.getByRole('button', { name: 'Next' }).click()
    await card.getByRole('heading', { name: 'A machine' }).waitFor()
    await page.getByRole('button', { name: 'Virtual machine database' }).waitFor()
    expect(await seriousViolations(page)).toEqual([])
    await next()
    await page.locator('form[aria-label="Virtual functions"].pointed').waitFor()
    await next()
    const assignment = page.getByRole('form', { name: 'Assignment' })
    await assignment.getByRole('combobox').selectOption('web')
    await assignment.getByRole('button').click()
    await card.getByText('✓ done').waitFor()
    await next()
    await page.getByRole('button', { name: /^Faults [1-9]/ }).waitFor()
    await page.getByRole('button', { name: /^DMA [4-9]/ }).waitFor()
    await next()
    await page.getByText('What would repair it').waitFor()
    await next()
    await page.getByText('can read and write memory of database').first().waitFor()
    // Both functions of the machine walk the same tables: one repair mends both.
    await page.getByRole('button', { name: 'Repair', exact: true }).first().click()
    await page.getByText('database and web are isolated from each other').waitFor()
    await next()
    await page.getByRole('img', { name: /of both$/ }).waitFor()
    await next()
    await page.getByLabel('Topology document').waitFor()
    await card.getByRole('button', { name: 'Finish' }).click()
    expect(await card.count()).toBe(0)
  })

  it('does not lead again who has seen it', async () => {
    const { page } = console
    await page.reload()
    await page.getByRole('navigation', { name: 'Views' }).waitFor()
    expect(await page.getByRole('complementary', { name: 'Guided tour' }).count()).toBe(0)
    expect(console.complaints).toEqual([])
  })
})
