/** Text that `lspci -F` reads: what `lspci -D -n -xxxx` prints on the machine. */
import type { ExportedFile } from '../exported-file.ts'
import type { MachineView } from '../machine-view.ts'

const BYTES_PER_LINE = 16

export function lspciFiles(machine: MachineView): ExportedFile[] {
  const sections = machine.functions.map(fn => {
    const config = machine.config(fn)
    const ids = `${digits(fn.vendorId, 4)}:${digits(fn.deviceId, 4)}`
    const revision = fn.revision === 0 ? '' : ` (rev ${digits(fn.revision, 2)})`
    const lines = [`${fn.address} ${digits(fn.classCode >>> 8, 4)}: ${ids}${revision}`]
    for (let at = 0; at < config.length; at += BYTES_PER_LINE) {
      const bytes = [...config.subarray(at, at + BYTES_PER_LINE)].map(byte => digits(byte, 2))
      lines.push(`${digits(at, 2)}: ${bytes.join(' ')}`)
    }
    return `${lines.join('\n')}\n`
  })
  return [{ path: 'lspci.txt', text: sections.join('\n') }]
}

const digits = (value: number, width: number): string => value.toString(16).padStart(width, '0')
