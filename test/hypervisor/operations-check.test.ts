import { expect, test } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import { checkOperations } from '../../src/hypervisor/operations-check.ts'

const issuesOf = (...operations: unknown[]) => {
  try {
    checkOperations(operations)
    return []
  } catch (error) {
    expect((error as NorthbridgeError).code).toBe('invalidArgument')
    return (error as NorthbridgeError).details.issues!.map(({ path }) => path)
  }
}

test('well-formed operations pass', () => {
  expect(
    issuesOf(
      { op: 'cpuid', leaf: 1 },
      { op: 'hlt' },
      { op: 'iret', interruptFlag: false },
      { op: 'out', port: 0xcf8, width: 4, value: 0x8000_0000 },
      { op: 'write', address: 2 ** 40, width: 8, value: [1, 2] },
      { op: 'invept', type: 2 },
    ),
  ).toEqual([])
})

test.each([
  [null, '/operations/0'],
  [{ op: 'fly' }, '/operations/0/op'],
  [{ op: 'toString' }, '/operations/0/op'],
  [{ op: 'hlt', now: true }, '/operations/0/now'],
  [{ op: 'cpuid' }, '/operations/0/leaf'],
  [{ op: 'cpuid', leaf: '1' }, '/operations/0/leaf'],
  [{ op: 'cpuid', leaf: 2 ** 32 }, '/operations/0/leaf'],
  [{ op: 'in', port: 0x1_0000, width: 1 }, '/operations/0/port'],
  [{ op: 'in', port: 0, width: 8 }, '/operations/0/width'],
  [{ op: 'out', port: 0, width: 1, value: 256 }, '/operations/0/value'],
  [{ op: 'read', address: -8, width: 8 }, '/operations/0/address'],
  [{ op: 'read', address: 1.5, width: 8 }, '/operations/0/address'],
  [{ op: 'write', address: 0, width: 2, value: [0x1_0000, 0] }, '/operations/0/value'],
  [{ op: 'write', address: 0, width: 4, value: [0, 1] }, '/operations/0/value'],
  [{ op: 'wrmsr', msr: 0x10, value: [0] }, '/operations/0/value'],
  [{ op: 'wrmsr', msr: 0x10, value: 7 }, '/operations/0/value'],
])('%j is refused at %s', (operation, path) => {
  expect(issuesOf(operation)).toEqual([path])
})

test('every wrong field is named, in any operation of the stream', () => {
  expect(issuesOf({ op: 'hlt' }, { op: 'in', port: -1, width: 3 }, { op: 'rdmsr', msr: null })).toEqual([
    '/operations/1/port',
    '/operations/1/width',
    '/operations/2/msr',
  ])
})
