/** What the user does to the platform that is looked at. */
import { api, type DmaResult, type IsolationDefect } from '../api.ts'
import { attempt, platform } from './world.ts'

const here = (): { readonly platform: string } => ({ platform: platform.value!.id })

export const power = (action: 'on' | 'off' | 'reset') => attempt(() => api.power({ ...here(), action }))

export const assign = (address: string, vm: string) =>
  attempt(() => api.attach({ ...here(), vm, function: address }))

export const takeBack = (address: string, vm: string) =>
  attempt(() => api.detach({ ...here(), vm, function: address }))

export const enableVfs = (address: string, numVfs: number) =>
  attempt(() => api.setNumVfs({ ...here(), function: address, numVfs }))

export const reset = (address: string) => attempt(() => api.resetFunction({ ...here(), function: address }))

export const createVm = (name: string, vcpus: number, memoryMiB: number) =>
  attempt(() => api.createVm({ ...here(), name, vcpus, memoryMiB }))

export const deleteVm = (vm: string) => attempt(() => api.deleteVm({ ...here(), vm }))

export const dma = (
  address: string,
  access: {
    readonly direction: 'read' | 'write'
    readonly address: string
    readonly data?: string
    readonly length?: number
  },
): Promise<DmaResult | undefined> =>
  attempt(() => api.dma({ ...here(), function: address, ...access } as never))

export const interrupt = (address: string, vector: number) =>
  attempt(() => api.interrupt({ ...here(), function: address, vector }))

export const explain = (unit: string, source: string, address: string, access: 'read' | 'write') =>
  attempt(() => api.explain({ ...here(), unit, source, address, access }))

export const repairIsolation = (defect: IsolationDefect) =>
  attempt(() => api.repairIsolation({ ...here(), defect }))
