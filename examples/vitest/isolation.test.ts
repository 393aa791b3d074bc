/** A policy of yours as a test: who gets which card, and are the tenants apart? */
import { functionOf, matchers, platformFixture, vmOf } from 'northbridge/testing'
import { expect, test as plain } from 'vitest'

expect.extend(matchers)
const test = plain.extend({ host: platformFixture('switch-without-acs') })

test('tenants get functions below ports that isolate, and stay apart', ({ host }) => {
  for (const name of ['blue', 'red']) host.createVm({ name, vcpus: 1, memoryMiB: 16 })
  expect(host).not.toAssign('0000:03:00.0', 'blue')
  host.attach({ vm: 'blue', function: '0000:09:00.0' })
  host.attach({ vm: 'red', function: '0000:0a:00.0' })
  expect(vmOf(host, 'blue')).toBeIsolatedFrom('red')
  expect(functionOf(host, '0000:09:00.0')).toReach('0x100000', { access: 'write' })
  expect(functionOf(host, '0000:09:00.0')).toFaultWith('0x10000000')
})
