/**
 * Real machines hold things that a topology document cannot say. What breaks its rules is left out, the least that
 * helps, with a note for each, rather than refusing the whole machine.
 */
import { type Issue, NorthbridgeError } from '../core/index.ts'
import { parseTopology, type TopologyDocument, type TopologyNodeDocument } from '../platform/index.ts'

/** Each round may uncover rules that only sound documents are judged by. */
const MOST_ROUNDS = 64
/** Fields of a node that it can do without. */
const OPTIONAL: readonly string[] = [
  'bus',
  'windows',
  'barAddresses',
  'numVfs',
  'remappingUnit',
  'reservedBuses',
  'acs',
]

type Editable = Record<string, unknown> & { devices?: Editable[] }

/** A document that keeps every rule. Throws `invalidDocument` for rules whose breach cannot be left out. */
export function repaired(document: TopologyDocument, notes: string[]): TopologyDocument {
  const copy = structuredClone(document) as unknown as Record<string, unknown>
  for (let round = 0; ; round++) {
    try {
      parseTopology(copy)
      return copy as unknown as TopologyDocument
    } catch (error) {
      const issues = error instanceof NorthbridgeError ? (error.details.issues ?? []) : []
      if (issues.length === 0 || round === MOST_ROUNDS) throw error
      if (!leaveOut(copy, issues, notes)) throw error
    }
  }
}

/** Whether anything could be left out. Later places first, so that the positions of earlier ones stay. */
function leaveOut(document: Record<string, unknown>, issues: readonly Issue[], notes: string[]): boolean {
  let changed = false
  const done = new Set<string>()
  const ordered = [...issues].sort((a, b) => (comparable(a.path) < comparable(b.path) ? 1 : -1))
  for (const { path, message } of ordered) {
    const steps = path.split('/').slice(1)
    const removed = steps[0] === 'hostBridges' ? fromTree(document, steps) : fromLists(document, steps)
    if (removed === undefined || done.has(removed.key)) continue
    done.add(removed.key)
    removed.remove()
    notes.push(`${removed.what} is left out: it ${message}`)
    changed = true
  }
  return changed
}

/** Pointers in the order of the document: numbers count, however many digits they have. */
const comparable = (path: string): string => path.replace(/\d+/g, digits => digits.padStart(6, '0'))

interface Removal {
  /** Equal for the same thing. */
  readonly key: string
  readonly what: string
  remove(): void
}

function fromTree(document: Record<string, unknown>, steps: readonly string[]): Removal | undefined {
  const bridges = document['hostBridges'] as Editable[]
  const index = Number(steps[1])
  let owner = bridges
  let position = index
  let node: Editable | undefined = bridges[index]
  let at = 2
  while (node !== undefined && steps[at] === 'devices' && steps[at + 1] !== undefined) {
    owner = node.devices ?? []
    position = Number(steps[at + 1])
    node = owner[position]
    at += 2
  }
  if (node === undefined) return undefined
  const target = node
  const what = nameOf(target)
  const [field, inner] = steps.slice(at)
  const key = steps.slice(0, at).join('/')
  if (field !== undefined && OPTIONAL.includes(field)) {
    const values = target[field]
    const whole = inner === undefined || typeof values !== 'object' || values === null || field === 'bus'
    return {
      key: `${key}/${field}${whole ? '' : `/${inner}`}`,
      what: `${field}${whole ? '' : ` ${inner}`} of ${what}`,
      remove: () => {
        if (whole) delete target[field]
        else delete (values as Record<string, unknown>)[inner]
      },
    }
  }
  // Without host bridges there is no machine.
  if (owner === bridges && bridges.length === 1) return undefined
  return { key, what, remove: () => void owner.splice(owner.indexOf(target), 1) }
}

function nameOf(node: Editable): string {
  const { at, imported } = node as unknown as Partial<TopologyNodeDocument>
  if (at === undefined) return `the host bridge of bus ${String(node['bus'])}`
  return `function ${at}${imported === undefined ? '' : ` (${imported.name})`}`
}

const LISTS: readonly (readonly string[])[] = [
  ['reservedMemory'],
  ['iommu', 'atsPorts'],
  ['iommu', 'integratedCaches'],
  ['iommu', 'units'],
]

function fromLists(document: Record<string, unknown>, steps: readonly string[]): Removal | undefined {
  for (const list of LISTS) {
    if (!list.every((step, i) => steps[i] === step)) continue
    const items = list.reduce<unknown>((value, step) => (value as Record<string, unknown>)[step], document)
    const item = (items as unknown[])[Number(steps[list.length])]
    if (item === undefined) return undefined
    return {
      key: steps.slice(0, list.length + 1).join('/'),
      what: `entry ${steps[list.length]} of ${list.join('/')}`,
      remove: () => {
        const entries = items as unknown[]
        entries.splice(entries.indexOf(item), 1)
        if (list[1] === 'units' && entries.length === 0) document['iommu'] = { kind: 'none' }
      },
    }
  }
  return undefined
}
