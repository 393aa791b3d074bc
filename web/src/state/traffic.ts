/** Traffic of assigned functions, made by this page: requests where their machines have memory, and now and then an interrupt. */
import { signal } from '@preact/signals'
import { api } from '../api.ts'
import { functions, platform, vms } from './world.ts'

/** Milliseconds. */
const PERIOD = 400
const MIB = 2 ** 20

export const traffic = signal(false)
let timer: number | undefined
let turn = 0

export function startTraffic(): void {
  if (traffic.value) return
  traffic.value = true
  timer = window.setInterval(() => void once(), PERIOD)
}

export function stopTraffic(): void {
  traffic.value = false
  clearInterval(timer)
}

async function once(): Promise<void> {
  const id = platform.value?.id
  const busy = functions.value.filter(({ owner }) => owner.kind === 'vm')
  const fn = busy[turn++ % busy.length]
  if (document.hidden || id === undefined || fn === undefined) return
  const machine = vms.value.find(({ name }) => name === fn.owner.name)
  const pages = ((machine?.memoryMiB ?? 1) * MIB) / 4096
  const address = `0x${(((turn * 37) % pages) * 4096).toString(16)}`
  const request = { platform: id, function: fn.address, address }
  try {
    await api.dma(
      (turn % 3 === 0
        ? { ...request, direction: 'read', length: 64 }
        : { ...request, direction: 'write', data: 'cafebabe' }) as never,
    )
    if (turn % 4 === 0) await api.interrupt({ platform: id, function: fn.address, vector: 0 })
  } catch {
    // What it was made for has gone, or the server is not there: the page says so itself.
    stopTraffic()
  }
}
