import { openConsole } from './browser.ts'

const c = await openConsole({ example: true })
const { page } = c
await page.goto(c.url + '/#view=events')
await page.waitForTimeout(3000)
for (const b of await page.locator('.meter').all())
  console.log(await b.textContent(), await b.getAttribute('aria-label'))
console.log(await page.locator('.virtual').textContent())
await page.screenshot({ path: '/tmp/c.png' })
await page.goto(c.url + '/#view=experiments')
await page.waitForTimeout(3000)
await page.screenshot({ path: '/tmp/d.png', fullPage: true })
console.log(c.complaints)
await c.close()
