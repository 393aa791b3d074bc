/** Page requests end to end: a function asks, software answers, the function goes on. */

import { beforeEach, describe, expect, test } from 'vitest'
import { sleep } from '../../src/engine/index.ts'
import {
  ALLOCATION,
  ATS,
  CONFIG,
  CONTEXT,
  DENIED,
  DIRECTORY,
  Driver,
  DTE,
  ENABLE_ATS,
  FUNCTION,
  IOVA,
  invalidateIotlb,
  MOVED,
  PAGE,
  PASID,
  PASIDE,
  PRE,
  PRI,
  PRQ,
  REQUESTED,
  SID,
  SUCCESSFUL,
  TRANSLATED,
  UNIT,
} from './accelerator.ts'

let t: Driver
beforeEach(() => {
  t = new Driver()
})

describe('page requests', () => {
  const requests = () => t.read(UNIT + 0xc8) / 32
  const group = (n: number) => (t.read(PRQ + n * 32 + 8) >>> 3) & 0x1ff
  const respond = (n: number, code: number) =>
    t.submit([0x9 + code * 0x1000 + SID * 0x1_0000, 0, 4 + group(n) * 8, 0])
  const outstanding = () => {
    t.enableAts()
    t.enablePageRequests()
    t.map(IOVA, 0)
    t.submit(invalidateIotlb)
    return t.dma()
  }

  test('are sent for what has no translation, and the access waits', () => {
    expect(outstanding()).toMatchObject({ status: REQUESTED })
    expect(requests()).toBe(1)
    expect([t.read(PRQ), t.read(PRQ + 8), t.read(PRQ + 12)]).toEqual([
      1 + SID * 0x1_0000,
      IOVA + 4 + 1 + group(0) * 8,
      0,
    ])
    expect(t.engine.waiting).toBe(true)
    expect(t.engine.retry()[0]!.status).toBe(REQUESTED)
    expect(requests()).toBe(1)
  })

  test('that are answered with success let the access be made', () => {
    outstanding()
    t.map(IOVA, MOVED)
    expect(respond(0, 0)).toBe(true)
    expect(t.engine.retry()).toMatchObject([{ status: SUCCESSFUL, physicalPage: MOVED / 4096 }])
    expect(t.engine.waiting).toBe(false)
  })

  test('that are answered with success in vain are made again', () => {
    outstanding()
    respond(0, 0)
    expect(t.engine.retry()[0]!.status).toBe(REQUESTED)
    expect(requests()).toBe(2)
    expect(group(1)).not.toBe(group(0))
  })

  test('that are refused as invalid end the access', () => {
    outstanding()
    respond(0, 1)
    expect(t.engine.retry()[0]!.status).toBe(DENIED)
  })

  test('that fail end the access and the page request interface: RF is set, nothing more is asked', () => {
    outstanding()
    respond(0, 15)
    expect(t.engine.retry()[0]!.status).toBe(DENIED)
    const [ENABLE, RF, STOPPED] = [1, 0x1_0000, 0x100_0000]
    expect(t.read(FUNCTION + PRI) & (ENABLE | RF | STOPPED)).toBe(RF | STOPPED)
    expect(t.dma().status).toBe(DENIED)
    expect(requests()).toBe(1)
  })

  test('are limited to what software allows to be outstanding', () => {
    t.enableAts()
    t.config(FUNCTION + ALLOCATION, 2)
    t.config(FUNCTION + PRI, 1)
    const parts = t.engine.dma(false, IOVA / 4096 + 8, 0, new Uint8Array(4 * 4096), { useAts: true })
    expect(parts.map(({ status }) => status)).toEqual([REQUESTED, REQUESTED, REQUESTED, REQUESTED])
    expect(requests()).toBe(2)
    t.map(IOVA + 8 * 4096, PAGE)
    respond(0, 0)
    expect(t.engine.retry().map(({ status }) => status)).toEqual([
      SUCCESSFUL,
      REQUESTED,
      REQUESTED,
      REQUESTED,
    ])
    expect(requests()).toBe(3)
  })

  test('a response that nobody waits for is noted as unexpected', () => {
    t.enablePageRequests()
    t.submit([0x9 + SID * 0x1_0000, 0, 4 + 0x33 * 8, 0])
    expect(t.read(FUNCTION + PRI) & 0x2_0000).toBe(0x2_0000)
  })

  test('are refused by the unit while PRE is clear: the function learns of it at once', () => {
    t.context(DTE + PASIDE)
    expect(outstanding().status).toBe(REQUESTED)
    expect(requests()).toBe(0)
    expect(t.engine.retry()[0]!.status).toBe(DENIED)
    expect(t.read(UNIT + 0x40c) & 0xff).toBe(0x47)
  })

  test('a stop marker follows the last request of a PASID', () => {
    t.fn.translation!.sendStopMarker(PASID)
    expect([t.read(PRQ) & 0x1ff, t.read(PRQ + 8)]).toEqual([0x101, 4])
  })

  test('of a virtual function use the interface of its physical function, with translations of its own', () => {
    t.config(FUNCTION + 0x190, 1)
    t.config(FUNCTION + 0x188, 0x11)
    t.time.run(sleep(t.time, 100_000_000))
    const [vf] = t.fn.virtualFunctions
    t.store(CONTEXT + 32, DIRECTORY + 1 + DTE + PASIDE + PRE)
    t.enablePageRequests()
    t.config(CONFIG + vf!.rid * 4096 + 4, 6)
    t.config(CONFIG + vf!.rid * 4096 + ATS, ENABLE_ATS)
    const engine = t.platform.engineOf(vf!)
    const dma = () => engine.dma(false, IOVA / 4096, 0, new Uint8Array(4), { useAts: true })[0]!
    expect(dma()).toMatchObject({ status: SUCCESSFUL, addressType: TRANSLATED, requesterId: vf!.rid })
    expect([t.fn.translation!.entries().length, vf!.translation!.entries().length]).toEqual([0, 1])
    t.map(IOVA, 0)
    t.submit(invalidateIotlb, [0x3, vf!.rid, IOVA, 0])
    expect(dma().status).toBe(REQUESTED)
    expect(t.read(PRQ) >>> 16).toBe(vf!.rid)
  })
})
