/** Building blocks of input and output schemas. Addresses and registers are `0x…` text, counts are numbers. */
import { Kind, type TObject, type TProperties, type TSchema, type TUnsafe, Type } from '@sinclair/typebox'

/** An object without further fields. */
export const Fields = <Properties extends TProperties>(
  properties: Properties,
  options: { $id?: string; description?: string; title?: string } = {},
): TObject<Properties> => Type.Object(properties, { additionalProperties: false, ...options })

/** One of some words. */
export const Words = <const Choice extends string>(...choices: readonly Choice[]): TUnsafe<Choice> =>
  Type.Unsafe<Choice>({ [Kind]: 'Words', type: 'string', enum: choices })

/** A document that a zod schema judges: its JSON Schema enters the contract, the check is made where it is used. */
export const Document = (jsonSchema: object, $id: string): TUnsafe<unknown> => {
  const { $schema: _dialect, ...schema } = jsonSchema as { $schema?: string }
  return Type.Unsafe<unknown>({ ...schema, [Kind]: 'Document', $id })
}

export const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

/** Any 64-bit value. */
export const Hex = Type.String({ pattern: '^0x[0-9a-fA-F]{1,16}$', title: 'hexadecimal text like "0x1000"' })
export const HexBytes = Type.String({
  pattern: '^([0-9a-fA-F]{2})*$',
  title: 'bytes as an even number of hexadecimal digits, lowest address first',
})
export const FunctionAddress = Type.String({
  pattern: '^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]$',
  title: 'a function address like "0000:03:10.1"',
})
export const Count = (maximum: number, minimum = 0) => Type.Integer({ minimum, maximum })
/** Names that users choose; they become parts of paths. */
export const Name = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
  title: 'a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit',
})
/** An identifier in a path: what does not exist is not found, whatever it looks like. */
export const Identifier = Type.String()
/** Plain JSON of any shape. */
export const Facts = Type.Record(Type.String(), Type.Unknown())
/** A register field: a small number as it is, a wide one as text. */
export const FieldValue = Type.Union([Type.Number(), Type.String(), Type.Boolean(), Type.Null()])

export const inPlatform = <Properties extends TProperties>(properties: Properties) =>
  Fields({ platform: Identifier, ...properties })

/** A schema with words of its own at this place. */
export const described = <Schema extends TSchema>(schema: Schema, description: string): Schema => ({
  ...schema,
  description,
})
