/**
 * The house plan as rules: which room may import from which (floors), and through which doors the software half
 * reaches the hardware half. Type-only imports count.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser'

const HARDWARE = ['memory', 'pcie', 'interrupts', 'vtd', 'gart', 'vmx', 'net', 'devices', 'platform']
const SOFTWARE = ['firmware', 'host', 'hypervisor', 'guest', 'policy']
const COMMON = [
  'interop',
  'system',
  'conformance',
  'charts',
  'timing',
  'prediction',
  'experiments',
  'operations',
]
/** What outlives the process: it waits for disks and databases, so promises live here as they do at the faces. */
const KEEPING = ['store', 'durability', 'access']
const FACES = ['client', 'workers', 'api', 'cli', 'testing']

/** Top floor first: a room imports only from itself and from rooms before it. */
export const ROOMS = ['core', 'engine', ...HARDWARE, ...SOFTWARE, ...COMMON, ...KEEPING, ...FACES]

/** What software may know of hardware: the machine port, the board (firmware alone), and formats. */
const MACHINE_PORT = '^src/platform/machine-port\\.ts$'
const BOARD = '^src/platform/board\\.ts$'
const FORMATS = '^src/[^/]+/formats/'

const folder = (rooms: readonly string[]): string => `^src/(${rooms.join('|')})/`

const floors = ROOMS.map(
  (room, floor): IForbiddenRuleType => ({
    name: `floor-${room}`,
    severity: 'error',
    comment: `${room}/ imports only from rooms above it in ARCHITECTURE.md`,
    // Faces may use one another: the command line starts the server.
    from: { path: folder([room]), pathNot: FORMATS },
    to: {
      path: FACES.includes(room) ? '^(?!)' : `${folder(ROOMS.slice(floor + 1))}|^src/index\\.ts$`,
      // The machine port names formats of rooms below it in no order; formats are knowledge, not parts.
      pathNot: FORMATS,
    },
  }),
)

const doors: IForbiddenRuleType[] = [
  {
    name: 'door-machine-port',
    severity: 'error',
    comment: 'software reaches hardware only through the machine port and formats',
    from: { path: folder(['host', 'hypervisor', 'guest', 'policy']) },
    to: { path: folder(HARDWARE), pathNot: [MACHINE_PORT, FORMATS] },
  },
  {
    name: 'door-board',
    severity: 'error',
    comment: 'firmware knows, besides, the board it was made for',
    from: { path: folder(['firmware']) },
    to: { path: folder(HARDWARE), pathNot: [MACHINE_PORT, BOARD, FORMATS] },
  },
  {
    name: 'door-guest',
    severity: 'error',
    comment: 'what runs inside a virtual machine knows nothing of the host or the machine',
    from: { path: folder(['guest']) },
    to: { path: '^src/', pathNot: ['^src/(core|engine|guest)/', FORMATS] },
  },
  {
    name: 'door-formats',
    severity: 'error',
    comment: 'formats are layouts and encodings: they import core and formats only',
    from: { path: FORMATS },
    to: { path: '^src/', pathNot: ['^src/core/', FORMATS] },
  },
  {
    name: 'no-cycles-between-rooms',
    severity: 'error',
    comment: 'files of one room may know each other, but not in a circle',
    from: {},
    to: { circular: true },
  },
  {
    name: 'unresolvable',
    severity: 'error',
    comment: 'an import that cannot be resolved is an import that cannot be checked',
    from: {},
    to: { couldNotResolve: true },
  },
]

/** Words that break determinism or cost too much, where they may not stand, and why. */
const BANS = [
  {
    word: /\b(Date|setTimeout|setInterval|setImmediate|queueMicrotask|Promise|async|await)\b|\bMath\.random\b/,
    rooms: ROOMS.filter(room => ![...KEEPING, ...FACES].includes(room)),
    why: 'time, chance and promises do not exist below store/ and the faces',
  },
  { word: /\b(BigInt|bigint)\b|\b\d+n\b/, rooms: ['engine', ...HARDWARE], why: 'no bigint in hardware' },
]

/** Source text without comments and the contents of strings, line numbers kept. */
const bare = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g, match =>
    match.replace(/[^\n]/g, ' '),
  )

function bannedWords(root: string, name: string): string[] {
  const lines = bare(readFileSync(join(root, 'src', name), 'utf8')).split('\n')
  return BANS.filter(({ rooms }) => rooms.includes(name.split('/')[0]!)).flatMap(({ word, why }) =>
    lines.flatMap((line, i) => {
      const found = word.exec(line)
      return found ? [`banned: src/${name}:${i + 1} says ${found[0]}, but ${why}`] : []
    }),
  )
}

export interface HouseReport {
  /** Source files found on disk and modules that the checker really parsed. */
  readonly files: number
  readonly modules: number
  readonly dependencies: number
  readonly violations: readonly string[]
}

/** Checks the `src` folder below `root`. */
export async function checkHouse(root: string): Promise<HouseReport> {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.ts'),
  )
  const { output } = await cruise(['src'], {
    baseDir: root,
    validate: true,
    ruleSet: { forbidden: [...floors, ...doors] },
    tsPreCompilationDeps: true,
    parser: 'swc',
    exclude: { path: 'node_modules' },
    // node_modules and node's own modules are no rooms.
    includeOnly: { path: '^src/' },
  })
  const { modules, summary } = output as ICruiseResult
  const violations = summary.violations.map(
    ({ rule, from, to, cycle }) =>
      `${rule.name}: ${from} → ${cycle ? cycle.map(step => step.name).join(' → ') : to}`,
  )
  violations.push(...files.flatMap(name => bannedWords(root, name)))
  const inRooms = files.map(name => relative('.', name).split('/')[0]!)
  for (const room of new Set(inRooms)) {
    if (!ROOMS.includes(room) && room !== 'index.ts') violations.push(`unknown room: src/${room}`)
  }
  const parsed = modules.filter(module => module.source.endsWith('.ts'))
  const dependencies = parsed.reduce((sum, module) => sum + module.dependencies.length, 0)
  if (parsed.length < files.length) {
    violations.push(
      `saw-too-little: ${parsed.length} modules were seen, but there are ${files.length} source files`,
    )
  }
  if (files.length > 1 && dependencies === 0) {
    violations.push(`saw-too-little: not one import was seen in ${files.length} source files`)
  }
  return { files: files.length, modules: parsed.length, dependencies, violations }
}
