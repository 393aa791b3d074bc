/**
 * What `lspci -x`, `-xxx`, `-xxxx` and `-v` print, in any mixture, of any machine. Lines that are neither a device, nor
 * bytes, nor indented details are skipped, as `lspci -F` does.
 */
import {
  devfn,
  formatFunctionAddress,
  NorthbridgeError,
  type RequesterId,
  requesterId,
} from '../../core/index.ts'

export interface ListedFunction {
  /** `dddd:bb:dd.f` */
  readonly address: string
  readonly segment: number
  readonly rid: RequesterId
  /** What stands behind the address, e.g. `Ethernet controller: Intel …`. */
  readonly title: string
  /** Config space up to the last byte given; empty if no bytes were. */
  readonly config: Uint8Array
  /** Indented lines, with their indentation. */
  readonly details: readonly string[]
}

const CONFIG_SIZE = 4096
const MOST_FUNCTIONS = 65_536
const DEVICE_LINE = /^(?:([0-9a-f]{4,6}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])(?:\s(.*))?$/i
const DATA_LINE = /^([0-9a-f]{2,8}):((?: [0-9a-f]{2})+)\s*$/i
const LIKE_DATA_LINE = /^[0-9a-f]{2,8}: /i

interface Growing extends ListedFunction {
  config: Uint8Array
  readonly details: string[]
}

/** In the order of the text. Throws `malformedInput` naming the line and what is wrong with it. */
export function parseLspci(text: string): ListedFunction[] {
  const functions = new Map<string, Growing>()
  let current: Growing | undefined
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const fail = (rule: string): never => {
      throw new NorthbridgeError('malformedInput', `lspci output, line ${index + 1}: ${rule}`, {
        line: index + 1,
      })
    }
    if (line === '') {
      current = undefined
      continue
    }
    const device = DEVICE_LINE.exec(line)
    if (device !== null) {
      current = begin(device, fail)
      if (functions.has(current.address)) fail(`${current.address} is listed twice`)
      if (functions.size === MOST_FUNCTIONS) fail(`more than ${MOST_FUNCTIONS} functions`)
      functions.set(current.address, current)
    } else if (/^\s/.test(line)) {
      current?.details.push(line)
    } else if (LIKE_DATA_LINE.test(line)) {
      const data = DATA_LINE.exec(line) ?? fail('bytes are two hexadecimal digits each, with a space between')
      append(current ?? fail('bytes belong to no device'), data, fail)
    }
  }
  if (functions.size === 0)
    throw new NorthbridgeError('malformedInput', 'lspci output: no function is listed')
  return [...functions.values()]
}

function begin(match: RegExpExecArray, fail: (rule: string) => never): Growing {
  const [, domain = '0', bus = '', device = '', fn = '', title = ''] = match
  const segment = Number.parseInt(domain, 16)
  const slot = Number.parseInt(device, 16)
  if (slot > 0x1f) fail(`device number ${device} is above 1f`)
  const rid = requesterId(Number.parseInt(bus, 16), devfn(slot, Number(fn)))
  const address = formatFunctionAddress(segment, rid)
  return { address, segment, rid, title: title.trim(), config: new Uint8Array(0), details: [] }
}

function append(
  into: Growing,
  [, at = '', bytes = '']: RegExpExecArray,
  fail: (rule: string) => never,
): void {
  const offset = Number.parseInt(at, 16)
  const values = bytes.trim().split(' ')
  const end = offset + values.length
  if (end > CONFIG_SIZE) fail(`offset ${at} is beyond the ${CONFIG_SIZE} bytes of config space`)
  if (end > into.config.length) {
    const grown = new Uint8Array(end)
    grown.set(into.config)
    into.config = grown
  }
  into.config.set(
    values.map(value => Number.parseInt(value, 16)),
    offset,
  )
}
