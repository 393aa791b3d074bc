import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createPlatform } from '../../src/index.ts'
import { functionOf, matchers, vmOf } from '../../src/testing/index.ts'

const EXAMPLE = 'examples/vitest/isolation.test.ts'

function tenants(topology: string, blue: string, red: string) {
  const platform = createPlatform(topology)
  for (const name of ['blue', 'red']) platform.createVm({ name, vcpus: 1, memoryMiB: 16 })
  platform.attach({ vm: 'blue', function: blue })
  platform.attach({ vm: 'red', function: red })
  return platform
}

describe('matchers', () => {
  it('toBeIsolatedFrom passes for tenants that are apart, and else says what breaks it and what mends it', () => {
    const apart = tenants('switch-without-acs', '0000:09:00.0', '0000:0a:00.0')
    expect(matchers.toBeIsolatedFrom(vmOf(apart, 'blue'), 'red').pass).toBe(true)
    const together = tenants('trusted-switch', '0000:03:00.0', '0000:04:00.0')
    const { pass, message } = matchers.toBeIsolatedFrom(vmOf(together, 'red'), 'blue')
    expect(pass).toBe(false)
    expect(message()).toContain('0000:03:00.0 reaches registers of 0000:04:00.0')
    expect(message()).toContain('repair: ')
  })

  it('toBeIsolatedFrom knows no virtual machine that is not there', () => {
    const apart = tenants('switch-without-acs', '0000:09:00.0', '0000:0a:00.0')
    expect(() => matchers.toBeIsolatedFrom(vmOf(apart, 'blue'), 'green')).toThrow('"green"')
  })

  it('toReach and toFaultWith tell guest memory from what lies behind it', () => {
    const platform = tenants('switch-without-acs', '0000:09:00.0', '0000:0a:00.0')
    const card = functionOf(platform, '0000:09:00.0')
    expect(matchers.toReach(card, '0x1000').pass).toBe(true)
    expect(matchers.toReach(card, '0x10000000').pass).toBe(false)
    expect(matchers.toFaultWith(card, '0x10000000', '0x06').pass).toBe(true)
    expect(matchers.toFaultWith(card, '0x10000000', '0x05').pass).toBe(false)
    expect(matchers.toFaultWith(card, '0x10000000', '0x05', { access: 'write' }).pass).toBe(true)
    expect(matchers.toFaultWith(card, '0x1000').pass).toBe(false)
  })

  it('toAssign leaves a function where it was, and says why one is refused', () => {
    const platform = createPlatform('switch-without-acs')
    platform.createVm({ name: 'blue', vcpus: 1, memoryMiB: 16 })
    expect(matchers.toAssign(platform, '0000:09:00.0', 'blue').pass).toBe(true)
    expect(platform.vm({ vm: 'blue' }).devices).toEqual([])
    const refused = matchers.toAssign(platform, '0000:00:1f.0', 'blue')
    expect(refused.pass).toBe(false)
    expect(refused.message()).toContain('groupNotViable')
  })
})

describe('the example, in a project of its own', () => {
  it('is what the documentation shows', () =>
    expect(readFileSync('docs/isolation.md', 'utf8')).toContain(readFileSync(EXAMPLE, 'utf8')))

  it('has fewer than 25 lines', () => {
    expect(readFileSync(EXAMPLE, 'utf8').trimEnd().split('\n').length).toBeLessThan(25)
  })

  it('passes', () => {
    const project = mkdtempSync(join(tmpdir(), 'northbridge-user-'))
    try {
      mkdirSync(join(project, 'node_modules'))
      symlinkSync(resolve('.'), join(project, 'node_modules/northbridge'))
      symlinkSync(resolve('node_modules/vitest'), join(project, 'node_modules/vitest'))
      writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
      // The packed package has `dist`; here its sources stand for it.
      writeFileSync(
        join(project, 'vitest.config.js'),
        `export default {
          ssr: { resolve: { conditions: ['source'], externalConditions: ['source'] } },
          test: { server: { deps: { external: [/src/] } } },
        }`,
      )
      cpSync(EXAMPLE, join(project, 'isolation.test.ts'))
      const printed = execFileSync(
        process.execPath,
        [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', project],
        { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '-C source', NO_COLOR: '1', CI: '1' } },
      )
      expect(printed).toContain('1 passed')
    } finally {
      rmSync(project, { recursive: true })
    }
  })
})
