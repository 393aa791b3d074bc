/** Derived from the I/O-bitmap and MSR-bitmap tests. */
import { PRIMARY as PROC } from '../../vmx/formats/controls.ts'
import { AT, GUEST } from './machine.ts'
import { CPL3, DONE, primary } from './settings.ts'
import { faults, guestRow, memory, type Row, type Step, set } from './step-case.ts'

const USE_IO = [primary(PROC.useIoBitmaps), set('ioBitmapA', AT.ioBitmapA), set('ioBitmapB', AT.ioBitmapB)]

const IO = 'I/O bitmap'

/** A bit in the bitmap of a port. */
const trapped = (port: number): Step =>
  memory(
    (port < 0x8000 ? AT.ioBitmapA : AT.ioBitmapB) + ((port & 0x7fff) >>> 5) * 4,
    (1 << (port & 31)) >>> 0,
  )

const ports: Row[] = [
  ...[0x0, 0x5000, 0x7fff, 0x8000, 0x9000, 0xffff].flatMap(port => [
    guestRow(
      `io.in.${port}`,
      IO,
      `IN from port ${port} exits if its bit is set`,
      [...USE_IO, trapped(port)],
      { op: 'in', port, width: 1 },
      { exit: 'ioInstruction', qualification: ((port << 16) | 8) >>> 0, length: 1 },
    ),
    guestRow(
      `io.out.${port}`,
      IO,
      `OUT to port ${port} exits if its bit is set`,
      [...USE_IO, trapped(port)],
      { op: 'out', port, width: 1, value: 0 },
      { exit: 'ioInstruction', qualification: (port << 16) >>> 0, length: 1 },
    ),
    guestRow(
      `io.free.${port}`,
      IO,
      `IN from port ${port} completes if its bit is clear`,
      USE_IO,
      { op: 'in', port, width: 1 },
      DONE,
    ),
  ]),
  ...([1, 2, 4] as const).flatMap(width => [
    guestRow(
      `io.width${width}`,
      IO,
      `an access of ${width} bytes exits with its size`,
      [...USE_IO, trapped(0x5000)],
      { op: 'out', port: 0x5000, width, value: 0 },
      { exit: 'ioInstruction', qualification: 0x5000_0000 | (width - 1) },
    ),
    ...(width === 1
      ? []
      : [
          guestRow(
            `io.last${width}`,
            IO,
            `an access of ${width} bytes exits for the bit of its last port`,
            [...USE_IO, trapped(0x5000 + width - 1)],
            { op: 'in', port: 0x5000, width },
            { exit: 'ioInstruction' },
          ),
        ]),
    ...(width === 1
      ? []
      : [
          guestRow(
            `io.wrap${width}`,
            IO,
            `an access of ${width} bytes that passes FFFFH exits`,
            USE_IO,
            { op: 'in', port: 0xffff, width },
            { exit: 'ioInstruction' },
          ),
        ]),
  ]),
  guestRow(
    'io.border',
    IO,
    'an access over both bitmaps looks at both',
    [...USE_IO, trapped(0x8000)],
    { op: 'in', port: 0x7fff, width: 2 },
    { exit: 'ioInstruction' },
  ),
  guestRow(
    'io.unconditional',
    IO,
    'unconditional I/O exiting',
    [primary(PROC.unconditionalIoExiting)],
    { op: 'in', port: 0x60, width: 1 },
    { exit: 'ioInstruction', qualification: 0x60_0008 },
  ),
  guestRow(
    'io.ignored',
    IO,
    'bitmaps make unconditional I/O exiting void',
    [...USE_IO, primary(PROC.useIoBitmaps | PROC.unconditionalIoExiting)],
    { op: 'in', port: 0x60, width: 1 },
    DONE,
  ),
  guestRow('io.none', IO, 'without either nothing exits', [], { op: 'in', port: 0x60, width: 1 }, DONE),
  guestRow(
    'io.immediate',
    IO,
    'an immediate port is told',
    [primary(PROC.unconditionalIoExiting)],
    { op: 'out', port: 0x80, width: 1, value: 0, immediate: true },
    { exit: 'ioInstruction', qualification: 0x80_0040, length: 2 },
  ),
  guestRow(
    'io.string',
    IO,
    'a repeated OUTS tells string, REP and the linear address',
    [primary(PROC.unconditionalIoExiting)],
    { op: 'outs', port: 0x70, width: 2, rep: true, address: [GUEST.data, 0] },
    {
      exit: 'ioInstruction',
      qualification: 0x70_0031,
      length: 2,
      linear: GUEST.data,
      information: (2 << 7) | (3 << 15),
    },
  ),
  guestRow(
    'io.privilege',
    IO,
    'above IOPL #GP comes before the exit',
    [...CPL3, primary(PROC.unconditionalIoExiting)],
    { op: 'in', port: 0x60, width: 1 },
    faults(13),
  ),
]

const USE_MSR = [primary(PROC.useMsrBitmaps), set('msrBitmaps', AT.msrBitmaps)]

const MSRS = 'MSR bitmap'

const msrs: Row[] = [
  ...(
    [
      [0x174, 0x000, 0x800],
      [0xc000_0082, 0x400, 0xc00],
    ] as const
  ).flatMap(([msr, read, write]) => {
    const offset = ((msr & 0x1fff) >>> 5) * 4
    const bit = (1 << (msr & 31)) >>> 0
    const name = msr.toString(16)
    return [
      guestRow(
        `msr.read.${name}`,
        MSRS,
        `RDMSR of ${name} exits if its read bit is set`,
        [...USE_MSR, memory(AT.msrBitmaps + read + offset, bit)],
        { op: 'rdmsr', msr },
        { exit: 'rdmsr', length: 2 },
      ),
      guestRow(
        `msr.write.${name}`,
        MSRS,
        `WRMSR of ${name} exits if its write bit is set`,
        [...USE_MSR, memory(AT.msrBitmaps + write + offset, bit)],
        { op: 'wrmsr', msr, value: [0, 0] },
        { exit: 'wrmsr', length: 2 },
      ),
      guestRow(
        `msr.readNotWrite.${name}`,
        MSRS,
        `the read bit of ${name} says nothing of WRMSR`,
        [...USE_MSR, memory(AT.msrBitmaps + read + offset, bit)],
        { op: 'wrmsr', msr, value: [0, 0] },
        DONE,
      ),
      guestRow(
        `msr.writeNotRead.${name}`,
        MSRS,
        `the write bit of ${name} says nothing of RDMSR`,
        [...USE_MSR, memory(AT.msrBitmaps + write + offset, bit)],
        { op: 'rdmsr', msr },
        DONE,
      ),
    ]
  }),
  ...[0x2000, 0x4000_0000, 0xbfff_ffff, 0xc000_2000, 0xffff_ffff].map(msr =>
    guestRow(
      `msr.outside.${msr}`,
      MSRS,
      `RDMSR of ${msr.toString(16)} exits: no bitmap covers it`,
      USE_MSR,
      { op: 'rdmsr', msr },
      { exit: 'rdmsr' },
    ),
  ),
  guestRow(
    'msr.noBitmaps',
    MSRS,
    'without bitmaps every RDMSR exits',
    [],
    { op: 'rdmsr', msr: 0x10 },
    { exit: 'rdmsr' },
  ),
  guestRow(
    'msr.bad',
    MSRS,
    'RDMSR of an MSR that does not exist raises #GP if its bit is clear',
    USE_MSR,
    { op: 'rdmsr', msr: 0x1 },
    faults(13),
  ),
  guestRow(
    'msr.priority',
    MSRS,
    'and exits if no bitmaps are used',
    [],
    { op: 'rdmsr', msr: 0x1 },
    { exit: 'rdmsr' },
  ),
]

export const IO_AND_MSR_ROWS: readonly Row[] = [...ports, ...msrs]
