import { describe, expect, it } from 'vitest'
import { APIC_CASES } from '../../src/conformance/vmx/apic-cases.ts'
import { APICV_CASES } from '../../src/conformance/vmx/apicv-cases.ts'
import { IO_APIC_CASES } from '../../src/conformance/vmx/io-apic-cases.ts'

const CASES = [...APIC_CASES, ...IO_APIC_CASES, ...APICV_CASES]

describe('cases derived from kvm-unit-tests', () => {
  it('have ids of their own', () => {
    expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length)
  })

  it.each(CASES.map(one => [`${one.id}: ${one.states}`, one] as const))('%s', (_, { run }) => {
    expect(run()).toBeUndefined()
  })
})
