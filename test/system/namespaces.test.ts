/** Namespaces that the host's driver makes and shares out, and the files that the world outside puts in their place. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DiskWorld, OTHER, PF, sector, VF } from './disk-world.ts'

const SECOND_VF = '0000:01:00.2'
const MIB = 2048
const refused = (work: () => unknown, code: string): void =>
  expect(work).toThrowError(expect.objectContaining({ code }))

function create(world: DiskWorld, blocks: number, shared = true) {
  return world.run(world.platform.disks.namespaces.create({ function: PF, blocks, blockSize: 512, shared }))
}

function set(world: DiskWorld, id: number, to: string, attached: boolean) {
  return world.run(world.platform.disks.namespaces.setAttached(PF, id, to, attached))
}

describe('a private namespace', () => {
  it('is the disk of the virtual function that it is attached to, and of nobody else', () => {
    const world = DiskWorld.create('a', 'b')
    expect(create(world, 3 * MIB, false)).toMatchObject({
      id: 2,
      blocks: 3 * MIB,
      functions: [],
      shared: false,
    })
    expect(set(world, 2, VF, true).functions).toEqual([VF])
    set(world, 1, VF, false)
    expect(world.open('virtualFunction', VF, 'a').sectors).toBe(3 * MIB)
    expect(world.open('virtualFunction', SECOND_VF, 'b').sectors).toBe(2 ** 21)
    expect(world.write(7, sector(1), 'a').ok).toBe(true)
    expect(world.read(7, 1, 'b').data).toEqual(new Uint8Array(512))
    refused(() => set(world, 2, SECOND_VF, true), 'unsupported')
    expect(() => set(world, 2, SECOND_VF, true)).toThrowError(/namespaceIsPrivate/)
  })

  it('goes from one guest to the next with what is on it', () => {
    const world = DiskWorld.create('a', 'b')
    create(world, MIB, false)
    for (const to of [VF, SECOND_VF]) set(world, 1, to, false)
    set(world, 2, VF, true)
    world.open('virtualFunction', VF, 'a')
    world.write(3, sector(9), 'a')
    refused(() => world.open('virtualFunction', SECOND_VF, 'b'), 'unsupported')
    set(world, 2, VF, false)
    // Invalid Field: the identifier is not active any more.
    expect(world.read(3, 1, 'a').ok).toBe(false)
    set(world, 2, SECOND_VF, true)
    expect(world.open('virtualFunction', SECOND_VF, 'b').sectors).toBe(MIB)
    expect(world.read(3, 1, 'b').data).toEqual(sector(9))
  })

  it('can be behind a disk that the host serves', () => {
    const world = DiskWorld.create('a', 'b')
    create(world, MIB)
    refused(
      () => world.run(world.platform.disks.open({ vm: 'a', model: 'emulation', function: PF, namespace: 2 })),
      'unsupported',
    )
    set(world, 2, PF, true)
    const open = (vm: string, namespace: number) =>
      world.run(world.platform.disks.open({ vm, model: 'paravirtual', function: PF, namespace }))
    expect([open('a', 2).sectors, open('b', 1).sectors]).toEqual([MIB, 2 ** 21])
    world.write(0, sector(4), 'a')
    expect(world.read(0, 1, 'b').data).toEqual(new Uint8Array(512))
    world.run(world.platform.disks.namespaces.delete(PF, 2))
    expect(world.read(0, 1, 'a').ok).toBe(false)
  })

  it('is refused where it makes no sense', () => {
    const world = DiskWorld.create('a')
    refused(() => create(world, 2 ** 30), 'unsupported')
    refused(() => set(world, 5, VF, true), 'notFound')
    refused(() => set(world, 1, OTHER, true), 'invalidArgument')
    refused(
      () => world.run(world.platform.disks.open({ vm: 'a', model: 'direct', function: PF, namespace: 1 })),
      'invalidArgument',
    )
  })
})

describe('a namespace on a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'namespaces-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  const onFile = (file: string): DiskWorld => {
    const world = DiskWorld.withFiles(folder, 'guest')
    create(world, MIB)
    set(world, 2, PF, true)
    world.run(world.platform.disks.namespaces.putOnFile(PF, 2, file))
    return world
  }
  const open = (world: DiskWorld) =>
    world.run(world.platform.disks.open({ vm: 'guest', model: 'paravirtual', function: PF, namespace: 2 }))

  it('has the file’s bytes, and the file what the guest writes', () => {
    writeFileSync(join(folder, 'image'), Buffer.concat([sector(1), sector(2)]))
    const world = onFile('image')
    open(world)
    expect(world.read(1).data).toEqual(sector(2))
    expect(world.write(3, sector(5)).ok).toBe(true)
    const bytes = readFileSync(join(folder, 'image'))
    expect(bytes.length).toBe(2 ** 20)
    expect(new Uint8Array(bytes.subarray(3 * 512, 4 * 512))).toEqual(sector(5))
    expect(world.platform.disks.namespaces.list(PF)).toMatchObject([
      { id: 1, file: null },
      { id: 2, file: 'image' },
    ])
  })

  it('is found again by a saved platform where its folder is, and out of reach elsewhere', () => {
    const world = onFile('saved')
    open(world)
    world.write(0, sector(6))
    const saved = world.platform.save()
    const fork = DiskWorld.restore(saved, folder)
    expect(fork.read(0)).toMatchObject({ ok: true, data: sector(6) })
    expect(DiskWorld.restore(saved).read(0).ok).toBe(false)
  })

  it('is memory again when the platform goes back to a time before it', () => {
    const world = DiskWorld.withFiles(folder, 'guest')
    world.open('paravirtual', PF)
    world.write(0, sector(1))
    const before = world.platform.save()
    world.run(world.platform.disks.namespaces.putOnFile(PF, 1, 'later'))
    expect(world.read(0).data).toEqual(new Uint8Array(512))
    world.platform.load(before)
    expect(world.read(0).data).toEqual(sector(1))
  })

  it('needs a folder', () => {
    const world = DiskWorld.create('guest')
    refused(() => world.run(world.platform.disks.namespaces.putOnFile(PF, 1, 'x')), 'unsupported')
  })
})
