/** What the outside world does to links and slots: cards come and go, buttons are pressed, wires break, errors happen. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { within } from '../engine/index.ts'
import {
  CORRECTABLE,
  type PcieFunction,
  type Port,
  reportCorrectable,
  reportUncorrectable,
  UNCORRECTABLE,
} from '../pcie/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { hardwareOf } from './fabric.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Identifier, inPlatform, Words } from './schemas.ts'
import { checkStillWithin } from './usage.ts'

const path = '/v1/platforms/{platform}/functions/{function}'

/** "2.5" to "64" GT/s by speed code. */
const SPEEDS = [0, 2.5, 5, 8, 16, 32, 64] as const

const LinkView = Fields(
  {
    port: Type.String({ description: 'The root port or downstream port' }),
    up: Type.Boolean(),
    speedGTs: Type.Number({ description: 'Negotiated; as it was last while the link is down' }),
    width: Count(63),
    occupied: Type.Boolean(),
    slot: Type.Optional(
      Fields({
        hotPlug: Type.Boolean(),
        powered: Type.Boolean(),
        attentionButton: Type.Boolean(),
      }),
    ),
  },
  { $id: 'Link', description: 'A link of PCI Express, and the slot that it ends in' },
)

const linkView = (port: string, link: Port): Static<typeof LinkView> => ({
  port,
  up: link.linkUp,
  speedGTs: SPEEDS[link.trained.speed] ?? 0,
  width: link.trained.width,
  occupied: link.occupied,
  ...(link.slot === undefined
    ? {}
    : {
        slot: {
          hotPlug: link.slot.hotPluggable,
          powered: link.slot.powered,
          attentionButton: link.slot.hasAttentionButton,
        },
      }),
})

export const links = operation({
  summary: 'Lists the links of a platform by the port above',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/links' },
  words: 'links list',
  input: inPlatform({}),
  output: Type.Array(LinkView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof LinkView>) => item.port,
    columns: ['port', 'up', 'speedGTs', 'width', 'occupied'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      return platform.host.functions().flatMap(({ address, kind }) => {
        if (kind !== 'rootPort' && kind !== 'downstreamPort') return []
        const { port } = platform.functionAt(address)
        return port === undefined ? [] : [linkView(address, port)]
      })
    }),
})

/** A port by its address. Throws `notFound`, `invalidArgument` for a function without a link below. */
function portOf(platform: SimulatedPlatform, text: string): { fn: PcieFunction; port: Port } {
  const fn = hardwareOf(platform, text)
  if (fn.port !== undefined) return { fn, port: fn.port }
  throw new NorthbridgeError('invalidArgument', `${text} is no root port or downstream port`, {
    issues: [{ path: '/function', message: 'must be a root port or downstream port' }],
  })
}

const ERRORS = ['notFound', 'poweredOff', 'invalidArgument'] as const
const tellLink = ({ port, up, occupied }: Static<typeof LinkView>): string =>
  `${port}: the slot is ${occupied ? 'taken' : 'empty'}, the link is ${up ? 'up' : 'down'}.`

export const insertCard = operation({
  summary: 'Puts a card into the slot of a port: the given functions, or what was pulled out of it last',
  rest: { method: 'POST', path: `${path}/slot/insert` },
  words: 'links insert',
  atomic: true,
  input: inPlatform({
    function: Identifier,
    card: Type.Optional(
      Type.Array(Type.Unknown(), {
        description: 'Functions as `devices` of a topology document describes them',
      }),
    ),
  }),
  output: LinkView,
  errors: [...ERRORS, 'topologyConflict', 'invalidDocument', 'limitExceeded'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const { fn, port } = portOf(platform, input.function)
    const { cards } = platform.hardware
    yield* within(
      platform.engine,
      platform.stimulate(input.function, () => cards.insert(fn, input.card)),
    )
    checkStillWithin(context, 'functions')
    return linkView(input.function, port)
  },
  tell: tellLink,
})

export const pullCard = operation({
  summary: 'Pulls the card out of the slot of a port, whatever it is doing',
  rest: { method: 'POST', path: `${path}/slot/pull` },
  words: 'links pull',
  input: inPlatform({ function: Identifier }),
  output: LinkView,
  errors: [...ERRORS, 'topologyConflict'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const { fn, port } = portOf(platform, input.function)
    yield* happen(platform, input.function, () => platform.hardware.cards.pull(fn))
    return linkView(input.function, port)
  },
  tell: tellLink,
})

/** Something that takes no time happens, and software sees to what follows. */
const happen = (platform: SimulatedPlatform, address: string, what: () => void) =>
  within(
    platform.engine,
    platform.stimulate(address, () => {
      what()
      return undefined
    }),
  )

export const pressButton = operation({
  summary: 'Presses the attention button of a slot: asks the host to let its card go, or to take one in',
  rest: { method: 'POST', path: `${path}/slot/button` },
  words: 'links button',
  input: inPlatform({ function: Identifier }),
  output: LinkView,
  errors: [...ERRORS, 'topologyConflict'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const { port } = portOf(platform, input.function)
    if (port.slot?.hasAttentionButton !== true) {
      throw new NorthbridgeError('topologyConflict', `the slot of ${input.function} has no attention button`)
    }
    yield* happen(platform, input.function, () => port.pressAttentionButton())
    return linkView(input.function, port)
  },
  tell: tellLink,
})

export const setLink = operation({
  summary: 'Breaks the link below a port, makes it whole, or lets it train with less than both ends can',
  rest: { method: 'PUT', path: `${path}/link` },
  words: 'links set',
  input: inPlatform({
    function: Identifier,
    state: Words('whole', 'broken'),
    speedGTs: Type.Optional(
      Type.Number({ minimum: 2.5, maximum: 64, title: 'the most that the wires carry' }),
    ),
    width: Type.Optional(Count(32, 1)),
  }),
  output: LinkView,
  errors: ERRORS,
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const { port } = portOf(platform, input.function)
    const speed = input.speedGTs === undefined ? 0 : SPEEDS.indexOf(input.speedGTs as 2.5)
    if (speed < 0) {
      const message = `must be one of ${SPEEDS.slice(1).join(', ')}`
      throw new NorthbridgeError('invalidArgument', `speedGTs ${message}`, {
        issues: [{ path: '/speedGTs', message }],
      })
    }
    yield* happen(platform, input.function, () => {
      port.limit({ speed, width: input.width ?? 0 })
      port.sever(input.state === 'broken')
    })
    return linkView(input.function, port)
  },
  tell: ({ port, up, speedGTs, width }) =>
    up ? `${port}: the link is up at ${speedGTs} GT/s, x${width}.` : `${port}: the link is down.`,
})

export const injectError = operation({
  summary: 'Lets a function detect an error, as a fault of its hardware would',
  rest: { method: 'POST', path: `${path}/errors` },
  words: 'functions inject',
  input: inPlatform({
    function: Identifier,
    error: Words(
      ...(Object.keys(UNCORRECTABLE) as Uncorrectable[]),
      ...(Object.keys(CORRECTABLE) as Correctable[]),
    ),
  }),
  output: Fields({ function: Type.String(), error: Type.String() }),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const fn = hardwareOf(platform, input.function)
    const { error } = input
    yield* happen(platform, input.function, () => {
      if (error in UNCORRECTABLE)
        reportUncorrectable(fn, UNCORRECTABLE[error as Uncorrectable], undefined, false)
      else reportCorrectable(fn, CORRECTABLE[error as Correctable])
    })
    return { function: input.function, error }
  },
  tell: ({ error }, input) => `${input.function} detected an error: ${error}.`,
})

type Uncorrectable = keyof typeof UNCORRECTABLE
type Correctable = keyof typeof CORRECTABLE
