/** A recording of every configuration access of a machine, from power-on: `pci-cfg-trace.log`. */
import { NorthbridgeError, type RequesterId, requesterId } from '../core/index.ts'

export interface ConfigAccess {
  readonly write: boolean
  /** QEMU's name of the device model, `empty` where no function answered. */
  readonly model: string
  readonly rid: RequesterId
  readonly offset: number
  readonly value: number
}

export const NOBODY = 'empty'

const LINE =
  /^pci_cfg_(read|write) (.+) ([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) @0x([0-9a-f]+) (?:->|<-) 0x([0-9a-f]+)$/

/** Throws `malformedInput` for a line that is no access. */
export function parseConfigTrace(text: string): ConfigAccess[] {
  const accesses: ConfigAccess[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const [, direction, model, bus, device, fn, offset, value] = LINE.exec(line.trim()) ?? []
    if (direction === undefined) {
      throw new NorthbridgeError('malformedInput', `line ${i + 1} is no configuration access: "${line}"`)
    }
    const number = (digits: string | undefined): number => Number.parseInt(digits!, 16)
    accesses.push({
      write: direction === 'write',
      model: model!,
      rid: requesterId(number(bus), (number(device) << 3) | Number(fn)),
      offset: number(offset),
      value: number(value),
    })
  }
  return accesses
}
