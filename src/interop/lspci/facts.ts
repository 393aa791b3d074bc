/**
 * What lspci's text tells of a function without the bytes of its configuration space: class and ids (`-n`, `-nn`), and
 * with `-v` buses, capabilities and what they say.
 */
import { type RequesterId, requesterId } from '../../core/index.ts'
import { ACS_BIT, type PORT_TYPE } from '../../pcie/formats/index.ts'
import type { KnownLink } from '../assumed-config.ts'
import type { FunctionFacts } from '../function-facts.ts'
import { classNamed } from './class-names.ts'
import { readDetails } from './details.ts'
import type { ListedFunction } from './dump.ts'

/** Stands for ids that are not told: 0001 is nobody's vendor id. */
export const UNKNOWN_ID = 0x0001

const NUMERIC_TITLE = /^(?:class )?([0-9a-f]{4}): ([0-9a-f]{4}):([0-9a-f]{4})/i
const CLASS_IN_BRACKETS = /^[^[]*\[([0-9a-f]{4})\]:/i
const IDS_IN_BRACKETS = /\[([0-9a-f]{4}):([0-9a-f]{4})\]/gi
const REVISION = /\(rev ([0-9a-f]{2})\)/i
const INTERFACE = /\(prog-if ([0-9a-f]{2})/i

/** Whether the ids of a function are in its text. */
export const hasIds = ({ title }: ListedFunction): boolean =>
  NUMERIC_TITLE.test(title) || title.search(IDS_IN_BRACKETS) >= 0

export function factsFromText(listed: ListedFunction): FunctionFacts {
  const { segment, rid, title, details } = listed
  const text = details.join('\n')
  const details_ = readDetails(details)
  const found = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1]
  const number = (pattern: RegExp, base = 10): number | undefined => {
    const digits = found(pattern)
    return digits === undefined ? undefined : Number.parseInt(digits, base)
  }
  const [vendorId, deviceId] = idsOf(title)
  const subsystem = /Subsystem: .*?([0-9a-f]{4}):([0-9a-f]{4})\]?\s*$/im.exec(text)
  const secondary = number(/Bus: .*secondary=([0-9a-f]{2})/i, 16)
  const subordinate = number(/Bus: .*subordinate=([0-9a-f]{2})/i, 16)
  const listsCapabilities = /Capabilities: \[/.test(text)
  const type = found(/Express (?:\(v\d\) )?([A-Za-z/ -]+?)(?: \(Slot[-+]\))?(?:, (?:MSI|IntMsgNum).*)?$/m)
  return {
    segment,
    rid,
    title,
    vendorId,
    deviceId,
    classCode: classOf(title) * 256 + Number.parseInt(INTERFACE.exec(title)?.[1] ?? '0', 16),
    revision: Number.parseInt(REVISION.exec(title)?.[1] ?? '0', 16),
    ...(subsystem !== null && {
      subsystemVendorId: Number.parseInt(subsystem[1]!, 16),
      subsystemId: Number.parseInt(subsystem[2]!, 16),
    }),
    ...(secondary !== undefined &&
      secondary > 0 && { buses: { secondary, subordinate: subordinate ?? secondary } }),
    // What capabilities there are is told, so that none of PCI Express means a conventional function.
    ...(listsCapabilities && { portType: type === undefined ? null : (PORT_TYPES[type] ?? 'endpoint') }),
    link: linkOf(text),
    ...(listsCapabilities && { acs: accessControlOf(text) }),
    ari: number(/ARICap:.*Next Function: (\d+)/),
    flr: /FLReset\+/.test(text),
    ariForwarding: /DevCap2:[\s\S]*?ARIFwd\+/.test(text),
    msiX: msiXOf(text),
    virtual: virtualOf(text, rid),
    group: details_.group,
    details: details_,
  }
}

const PORT_TYPES: Readonly<Record<string, keyof typeof PORT_TYPE>> = {
  Endpoint: 'endpoint',
  'Legacy Endpoint': 'legacyEndpoint',
  'Root Port': 'rootPort',
  'Upstream Port': 'upstreamPort',
  'Downstream Port': 'downstreamPort',
  'PCI-Express to PCI/PCI-X Bridge': 'pcieToPciBridge',
  'PCI/PCI-X to PCI-Express Bridge': 'pciToPcieBridge',
  'Root Complex Integrated Endpoint': 'integratedEndpoint',
  'Root Complex Event Collector': 'eventCollector',
}

function idsOf(title: string): readonly [vendor: number, device: number] {
  const numeric = NUMERIC_TITLE.exec(title)
  if (numeric !== null) return [Number.parseInt(numeric[2]!, 16), Number.parseInt(numeric[3]!, 16)]
  const last = [...title.matchAll(IDS_IN_BRACKETS)].at(-1)
  return last === undefined
    ? [UNKNOWN_ID, UNKNOWN_ID]
    : [Number.parseInt(last[1]!, 16), Number.parseInt(last[2]!, 16)]
}

function classOf(title: string): number {
  const digits = NUMERIC_TITLE.exec(title)?.[1] ?? CLASS_IN_BRACKETS.exec(title)?.[1]
  return digits === undefined ? classNamed(title.split(':')[0]!) : Number.parseInt(digits, 16)
}

const SPEEDS: Readonly<Record<string, number>> = { '2.5': 1, '5': 2, '8': 3, '16': 4, '32': 5, '64': 6 }

function linkOf(text: string): KnownLink | undefined {
  const can = /LnkCap:\s+Port #(\d+), Speed ([\d.]+)GT\/s, Width x(\d+)/.exec(text)
  if (can === null) return undefined
  const now = /LnkSta:\s+Speed ([\d.]+)GT\/s[^,]*, Width x(\d+)/.exec(text)
  const speed = (digits: string | undefined): number => SPEEDS[digits ?? ''] ?? 0
  const [port, width] = [Number(can[1]) & 0xff, Number(can[3]) & 0x3f]
  return {
    port,
    maxSpeed: speed(can[2]),
    maxWidth: width,
    speed: speed(now?.[1]),
    width: Number(now?.[2] ?? 0) & 0x3f,
  }
}

/** By lspci's words for the bits of "ACS Capability". */
const ACS_WORDS: readonly (readonly [word: string, bit: number])[] = [
  ['SrcValid', ACS_BIT.SV],
  ['TransBlk', ACS_BIT.TB],
  ['ReqRedir', ACS_BIT.RR],
  ['CmpltRedir', ACS_BIT.CR],
  ['UpstreamFwd', ACS_BIT.UF],
  ['DirectTrans', ACS_BIT.DT],
]

function accessControlOf(text: string): number {
  const line = /ACSCap:(.*)$/m.exec(text)?.[1] ?? ''
  return ACS_WORDS.reduce((bits, [word, bit]) => (line.includes(`${word}+`) ? bits | bit : bits), 0)
}

function msiXOf(text: string): FunctionFacts['msiX'] {
  const count = /MSI-X: Enable[-+] Count=(\d{1,4})/.exec(text)?.[1]
  const table = /Vector table: BAR=([0-5]) offset=([0-9a-f]{8})/i.exec(text)
  const pending = /PBA: BAR=([0-5]) offset=([0-9a-f]{8})/i.exec(text)
  if (count === undefined || table === null || pending === null) return undefined
  const place = ([, bar, offset]: RegExpExecArray) => ({
    bar: Number(bar),
    offset: Number.parseInt(offset!, 16) & ~7,
  })
  return { vectors: Math.min(2048, Math.max(1, Number(count))), table: place(table), pending: place(pending) }
}

function virtualOf(text: string, rid: RequesterId): FunctionFacts['virtual'] {
  const counts = /Total VFs: (\d{1,5}), Number of VFs: (\d{1,5})/.exec(text)
  const routing = /VF offset: (\d{1,5}), stride: (\d{1,5}), Device ID: ([0-9a-f]{4})/i.exec(text)
  if (counts === null || routing === null) return undefined
  const [offset, stride] = [Number(routing[1]) & 0xffff, Number(routing[2]) & 0xffff]
  const enabled = /IOVCtl:\s+Enable\+/.test(text) ? Number(counts[2]) : 0
  const on = Array.from({ length: enabled }, (_, n) => {
    const id = (rid + offset + n * stride) & 0xffff
    return requesterId(id >>> 8, id & 0xff)
  })
  return {
    total: Math.max(Number(counts[1]), enabled) & 0xffff,
    on,
    routing: { offset, stride },
    deviceId: Number.parseInt(routing[3]!, 16),
  }
}
