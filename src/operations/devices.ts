/** Operations on the catalogue of devices: what a topology may name as a model. */
import { type Static, Type } from '@sinclair/typebox'
import { type DataSheet, dataSheetJsonSchema, dataSheetNames, loadDataSheet } from '../devices/index.ts'
import { now, operation } from './operation.ts'
import { Count, Document, Fields, Identifier } from './schemas.ts'

const DeviceSummary = Fields(
  {
    name: Type.String({ description: 'What a topology gives as "model"' }),
    title: Type.String(),
    vendorId: Type.String(),
    deviceId: Type.String({ description: 'Of function 0' }),
    classCode: Type.String(),
    functions: Count(8),
    totalVfs: Count(2 ** 19, 0),
    vectors: Count(2048, 0),
    link: Type.String({ description: 'Speed and width; empty without a link' }),
    unverified: Count(2 ** 16),
  },
  { $id: 'DeviceSummary', description: 'A data sheet in a line' },
)

const DataSheetDocument = Document(dataSheetJsonSchema(), 'DataSheet')

type Capability = DataSheet['functions'][number]['capabilities'][number]

function summary(sheet: DataSheet): Static<typeof DeviceSummary> {
  const { name, title, functions, unverified } = sheet
  const first = functions[0]!
  const one = <Name extends Capability['capability']>(wanted: Name) =>
    first.capabilities.find(
      (entry): entry is Extract<Capability, { capability: Name }> => entry.capability === wanted,
    )
  const link = one('express')?.link
  return {
    name,
    title,
    vendorId: first.vendorId,
    deviceId: first.deviceId,
    classCode: first.classCode,
    functions: functions.length,
    totalVfs: functions.reduce((sum, { sriov }) => sum + (sriov?.totalVfs ?? 0), 0),
    vectors: one('msiX')?.vectors ?? one('msi')?.messages ?? 0,
    link: link === undefined ? '' : `${link.speedGTs} GT/s x${link.width}`,
    unverified: unverified.length,
  }
}

const path = '/v1/devices'

export const devices = operation({
  summary: 'Lists the devices of the catalogue, which topologies name as models',
  rest: { method: 'GET', path },
  words: 'devices list',
  ofInstallation: true,
  input: Fields({}),
  output: Type.Array(DeviceSummary),
  errors: [],
  list: {
    key: (item: Static<typeof DeviceSummary>) => item.name,
    columns: ['name', 'vendorId', 'deviceId', 'functions', 'totalVfs', 'vectors', 'link', 'title'],
  },
  run: () => now(() => dataSheetNames().map(name => summary(loadDataSheet(name)))),
})

export const device = operation({
  summary: 'Shows the data sheet of a device, with the sources of its fields',
  rest: { method: 'GET', path: `${path}/{name}` },
  words: 'devices get',
  ofInstallation: true,
  input: Fields({ name: Identifier }),
  output: DataSheetDocument,
  errors: ['notFound'],
  run: (_context, { name }) => now(() => loadDataSheet(name)),
})
