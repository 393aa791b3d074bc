/** The HTTP contract as types and routes. Made by `npm run openapi` from openapi/openapi.json: not to be edited. */

export type AssignedDevice = {
  /** Address on the host */
  readonly function: string
  /** Address in the guest */
  readonly guestAddress: string
  /** hexadecimal text like "0x1000" */
  readonly vendorId: string
  /** hexadecimal text like "0x1000" */
  readonly deviceId: string
  /** msix, msi or none */
  readonly interrupts: string
  readonly bars: readonly {
    readonly index: number
    readonly size: number
    readonly prefetchable: boolean
    readonly guestAddress: string | null
    /** hexadecimal text like "0x1000" */
    readonly hostAddress: string
  }[]
  readonly vectors: readonly {
    readonly index: number
    readonly masked: boolean
    readonly vcpu: number | null
    readonly guestVector: number
    readonly delivered: number
  }[]
}

export type AssignmentPlan = {
  readonly system: string
  readonly placed: readonly PlannedMachine[]
  readonly refused: readonly {
    readonly vm: string
    readonly hosts: readonly {
      readonly host: string
      readonly refusal: PolicyRefusal
      readonly need?: string
      readonly nearestMiss?: PolicyCandidate
    }[]
  }[]
}

export type AssignmentRequest = {
  /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
  readonly vm: string
  /** Of the host, on which the machine lies */
  readonly numaNodes?: readonly number[]
  /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
  readonly tenant?: string
  readonly numaPolicy?: string
  readonly needs: readonly {
    /** What the system calls it: an alias, a resource, a claim, a network, a mapping, an address */
    readonly resource: string
    readonly count: number
  }[]
  /** The only platform that will do */
  readonly host?: string
}

/** A base address register; size in bytes */
export type Bar = {
  readonly index: number
  readonly kind: "memory32" | "memory64" | "io"
  readonly prefetchable: boolean
  /** hexadecimal text like "0x1000" */
  readonly address: string
  readonly size: number
}

/** The journey of a transfer of blocks, step by step, and what it cost */
export type BlockTrace = {
  readonly outcome: "completed" | "failed"
  /** bytes as an even number of hexadecimal digits, lowest address first */
  readonly data?: string
  readonly steps: readonly {
    readonly at: string
    readonly step: string
    readonly detail: Readonly<Record<string, unknown>>
  }[]
  readonly exits: number
  readonly exitsByReason: Readonly<Record<string, number>>
  /** By the hypervisor, between its memory and the guest’s */
  readonly copies: number
  readonly copiedBytes: number
  /** Accesses of processors that reached a function */
  readonly registerReads: number
  readonly registerWrites: number
  /** Requests of devices, interrupt messages apart */
  readonly dmaReads: number
  readonly dmaWrites: number
  readonly iotlbLookups: number
  readonly iotlbHits: number
  readonly tableReads: number
  /** Interrupt messages of devices */
  readonly interrupts: number
}

export type BlockTransfer = {
  readonly outcome: "completed" | "failed"
  /** bytes as an even number of hexadecimal digits, lowest address first */
  readonly data?: string
  /** VM exits from the first register access to the idle loop */
  readonly exits: number
  readonly exitsByHandler: Readonly<Record<string, number>>
  /** Bytes that the hypervisor copied */
  readonly copiedBytes: number
  readonly requests: ControllerRequests | null
}

export type BlockWorkloadResult = {
  /** Commands that ended well */
  readonly reads: number
  readonly writes: number
  /** Commands that the disk ended with an error, or never */
  readonly failed: number
  /** Sectors that were read without the stamp with which the workload had written them */
  readonly mismatches: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** Register writes of the driver that told of commands or of completions seen */
  readonly doorbells: number
  /** Messages that the driver took */
  readonly interrupts: number
  /** VM exits from the first register access to the idle loop */
  readonly exits: number
  readonly exitsByHandler: Readonly<Record<string, number>>
  /** Bytes that the hypervisor copied */
  readonly copiedBytes: number
  readonly requests: ControllerRequests | null
}

export type Buffer = {
  readonly function: string
  /** Where the function reaches it (I/O virtual address) */
  readonly address: string
  readonly physicalAddress: string
  readonly pages: number
  readonly access: "read" | "write" | "readWrite"
}

/** An entry of a cache, which memory may contradict by now */
export type CacheEntry = {
  readonly index: number
  /** Which cache holds the entry */
  readonly cache: string
  readonly entry: Readonly<Record<string, unknown>>
}

export type Command = {
  readonly sequence: number
  readonly operation: string
  readonly input: Readonly<Record<string, unknown>>
  readonly error: string | null
  /** Virtual time after it, nanoseconds */
  readonly timeNs: number
  readonly lastEvent: number
  /** Of the Northbridge that carried it out */
  readonly version: string
}

export type Consolidation = {
  /** Hosts on one */
  readonly ratio: number
  readonly processors: number
  readonly vcpus: number
  readonly hostMiB: number
  readonly grantedMiB: number
  /** Host pages that sharing saved */
  readonly savedBySharing: number
  readonly ballooned: number
  readonly swapped: number
  readonly largestDeviationPercent: number
  readonly isolation: {
    readonly pairs: number
    readonly isolated: number
    readonly breaches: readonly string[]
  }
  readonly hosts: readonly {
    readonly vm: string
    readonly vcpus: number
    readonly memoryMiB: number
    readonly shares: number
    readonly demand: number
    readonly entitled: number
    readonly used: number
    readonly deviationPercent: number
    readonly function: string | null
    readonly memory: {
      readonly resident: number
      readonly shared: number
      readonly swapped: number
      readonly ballooned: number
    }
    readonly pagesHeld: number
    readonly pagesUsed: number
  }[]
}

/** An I/O address space of user space, which groups share */
export type Container = {
  /** The virtual machine */
  readonly owner: string
  readonly name: string
  /** IOMMU groups that share the address space */
  readonly groups: readonly number[]
  /** Translation domains that hold it: one, or one for each kind of unit */
  readonly domains: readonly number[]
  readonly mappings: number
  /** Of 4 KiB, that are mapped */
  readonly pages: number
  readonly tracksDirty: boolean
}

export type ControllerRequests = {
  /** Memory reads that the controller sent */
  readonly reads: number
  readonly writes: number
  readonly bytes: number
  /** Requests that did not end successfully */
  readonly failed: number
  /** Requests that a remapping unit translated */
  readonly iotlbLookups: number
  readonly iotlbHits: number
  /** Reads of remapping structures in memory */
  readonly tableReads: number
  /** Messages that the controller signalled */
  readonly interrupts: number
}

/** Everything that a machine had, and what became of it */
export type Conversion = {
  readonly way: "p2v" | "v2v" | "v2p"
  readonly source: string
  readonly vm: string | null
  readonly kept: number
  readonly changed: number
  readonly notCarried: number
  readonly items: readonly ConversionItem[]
  readonly diskBytes: number | null
}

export type ConversionItem = {
  /** processors, memory, network, disk … */
  readonly what: string
  /** Which one: an address, a name */
  readonly name: string
  readonly outcome: "kept" | "changed" | "notCarried"
  readonly was: string
  readonly is: string | null
  readonly driver: {
    readonly was: string | null
    readonly is: string | null
  } | null
  readonly reason: string | null
}

export type CpuRun = {
  readonly machines: readonly {
    readonly vm: string
    readonly usedNs: number
    readonly entitledNs: number
    readonly readyNs: number
  }[]
}

/** Northbridge device data sheet */
export type DataSheet = {
  readonly $schema?: string
  readonly name: string
  readonly title: string
  /** What the source keys stand for */
  readonly sources: Readonly<Record<string, string>>
  /** Function 0 first */
  readonly functions: readonly {
    readonly title?: string
    readonly kind: "hostBridge" | "rootPort" | "upstreamPort" | "downstreamPort" | "bridge" | "endpoint"
    readonly vendorId: string
    readonly deviceId: string
    readonly revision: string
    /** Base class, sub-class and programming interface */
    readonly classCode: string
    readonly subsystem?: {
      readonly vendorId: string
      readonly id: string
    }
    readonly interruptPin: number
    readonly bars?: readonly {
      readonly index: number
      readonly kind: "memory32" | "memory64" | "io"
      readonly prefetchable?: boolean
      readonly sizeBytes: number
      readonly purpose?: string
      /** A key of "sources" */
      readonly source?: string
    }[]
    readonly romSizeBytes?: 0 | number
    /** Bridges: 64-bit prefetchable window */
    readonly wideWindows?: boolean
    readonly capabilities?: readonly ({
      readonly capability: "powerManagement"
      /** Offset in the first 256 bytes */
      readonly at: string
      readonly states?: readonly ("D1" | "D2")[]
      readonly pmeFrom?: readonly ("D0" | "D1" | "D2" | "D3hot" | "D3cold")[]
      readonly noSoftReset?: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "msi"
      /** Offset in the first 256 bytes */
      readonly at: string
      readonly messages: number
      readonly address64: boolean
      readonly perVectorMasking: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "msiX"
      /** Offset in the first 256 bytes */
      readonly at: string
      readonly vectors: number
      readonly table: {
        readonly bar: number
        readonly offset: string
      }
      readonly pendingBits: {
        readonly bar: number
        readonly offset: string
      }
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "express"
      /** Offset in the first 256 bytes */
      readonly at: string
      readonly type: "endpoint" | "legacyEndpoint" | "rootPort" | "upstreamPort" | "downstreamPort" | "pcieToPciBridge" | "integratedEndpoint" | "eventCollector"
      readonly version?: number
      readonly maxPayloadBytes: number
      readonly functionLevelReset?: boolean
      readonly extendedTag?: boolean
      /** Ports only */
      readonly ariForwarding?: boolean
      readonly link?: {
        readonly speedGTs: 2.5 | 5 | 8 | 16 | 32 | 64
        readonly width: number
      }
      readonly slotNumber?: number
      /** Ports with a slot number only */
      readonly hotPlug?: {
        readonly attentionButton?: boolean
        readonly powerController?: boolean
        readonly attentionIndicator?: boolean
        readonly powerIndicator?: boolean
        /** Cards may be pulled out without notice */
        readonly surprise?: boolean
      }
      readonly portNumber?: number
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "subsystem"
      /** Offset in the first 256 bytes */
      readonly at: string
      readonly vendorId: string
      readonly id: string
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "sata"
      /** Offset in the first 256 bytes */
      readonly at: string
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "errorReporting"
      /** Offset in extended configuration space */
      readonly at: string
      readonly version?: number
      readonly severity?: string
      readonly ecrc?: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "accessControl"
      /** Offset in extended configuration space */
      readonly at: string
      readonly bits: readonly ("SV" | "TB" | "RR" | "CR" | "UF" | "DT")[]
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "downstreamPortContainment"
      /** Offset in extended configuration space */
      readonly at: string
      readonly softwareTrigger?: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "eventCollector"
      /** Offset in extended configuration space */
      readonly at: string
      /** Devices of its root bus whose errors it collects */
      readonly devices: readonly number[]
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "ari"
      /** Offset in extended configuration space */
      readonly at: string
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "serialNumber"
      /** Offset in extended configuration space */
      readonly at: string
      readonly value: string
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "ats"
      /** Offset in extended configuration space */
      readonly at: string
      readonly queueDepth: number
      readonly pageAligned: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "pageRequests"
      /** Offset in extended configuration space */
      readonly at: string
      /** Outstanding page requests */
      readonly capacity: number
      /** Responses carry the PASID of the request */
      readonly responsePasid?: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "pasid"
      /** Offset in extended configuration space */
      readonly at: string
      readonly widthBits: number
      /** Execute permission can be requested */
      readonly execute?: boolean
      /** Privileged mode can be requested */
      readonly privileged?: boolean
      /** A key of "sources" */
      readonly source?: string
    } | {
      readonly capability: "raw"
      /** Offset in extended configuration space */
      readonly at: string
      /** Capability ID; an extended one if it lies at 100h or above */
      readonly id: string
      /** Extended capabilities only */
      readonly version?: number
      /** What follows the header of 2 bytes, or of 4 of an extended capability */
      readonly bytes?: string
      /** A key of "sources" */
      readonly source?: string
    })[]
    /** Access and reset value of single bits, where the device differs from the specification */
    readonly overrides?: readonly {
      readonly offset: string
      /** Bits that software may write */
      readonly readWrite?: string
      /** Bits that software clears by writing 1 */
      readonly clearable?: string
      /** Bits that are read-only as the image has them */
      readonly readOnly?: string
      /** Value after reset of the bits in the mask */
      readonly reset?: {
        readonly mask: string
        readonly value: string
      }
    }[]
    /** Virtual time after a reset in which configuration requests end with Request Retry Status */
    readonly resetTimeNs?: number
    /** What the VPD capability reads; default: erased storage */
    readonly vitalProductData?: string
    /** Translations that the function, and each virtual one, keeps; needs "ats" */
    readonly deviceTlbEntries?: number
    readonly sriov?: {
      /** Offset in extended configuration space */
      readonly at: string
      readonly totalVfs: number
      /** First VF Offset and VF Stride with ARI Capable Hierarchy set */
      readonly ari: {
        readonly offset: number
        readonly stride: number
      }
      /** And without it */
      readonly nonAri: {
        readonly offset: number
        readonly stride: number
      }
      readonly vfDeviceId: string
      readonly supportedPageSizes?: string
      /** VF BARs; the size is that of one virtual function */
      readonly bars: readonly {
        readonly index: number
        readonly kind: "memory32" | "memory64" | "io"
        readonly prefetchable?: boolean
        readonly sizeBytes: number
        readonly purpose?: string
        /** A key of "sources" */
        readonly source?: string
      }[]
      readonly virtualFunction: {
        readonly capabilities: readonly ({
          readonly capability: "powerManagement"
          /** Offset in the first 256 bytes */
          readonly at: string
          readonly states?: readonly ("D1" | "D2")[]
          readonly pmeFrom?: readonly ("D0" | "D1" | "D2" | "D3hot" | "D3cold")[]
          readonly noSoftReset?: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "msi"
          /** Offset in the first 256 bytes */
          readonly at: string
          readonly messages: number
          readonly address64: boolean
          readonly perVectorMasking: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "msiX"
          /** Offset in the first 256 bytes */
          readonly at: string
          readonly vectors: number
          readonly table: {
            readonly bar: number
            readonly offset: string
          }
          readonly pendingBits: {
            readonly bar: number
            readonly offset: string
          }
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "express"
          /** Offset in the first 256 bytes */
          readonly at: string
          readonly type: "endpoint" | "legacyEndpoint" | "rootPort" | "upstreamPort" | "downstreamPort" | "pcieToPciBridge" | "integratedEndpoint" | "eventCollector"
          readonly version?: number
          readonly maxPayloadBytes: number
          readonly functionLevelReset?: boolean
          readonly extendedTag?: boolean
          /** Ports only */
          readonly ariForwarding?: boolean
          readonly link?: {
            readonly speedGTs: 2.5 | 5 | 8 | 16 | 32 | 64
            readonly width: number
          }
          readonly slotNumber?: number
          /** Ports with a slot number only */
          readonly hotPlug?: {
            readonly attentionButton?: boolean
            readonly powerController?: boolean
            readonly attentionIndicator?: boolean
            readonly powerIndicator?: boolean
            /** Cards may be pulled out without notice */
            readonly surprise?: boolean
          }
          readonly portNumber?: number
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "subsystem"
          /** Offset in the first 256 bytes */
          readonly at: string
          readonly vendorId: string
          readonly id: string
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "sata"
          /** Offset in the first 256 bytes */
          readonly at: string
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "errorReporting"
          /** Offset in extended configuration space */
          readonly at: string
          readonly version?: number
          readonly severity?: string
          readonly ecrc?: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "accessControl"
          /** Offset in extended configuration space */
          readonly at: string
          readonly bits: readonly ("SV" | "TB" | "RR" | "CR" | "UF" | "DT")[]
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "downstreamPortContainment"
          /** Offset in extended configuration space */
          readonly at: string
          readonly softwareTrigger?: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "eventCollector"
          /** Offset in extended configuration space */
          readonly at: string
          /** Devices of its root bus whose errors it collects */
          readonly devices: readonly number[]
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "ari"
          /** Offset in extended configuration space */
          readonly at: string
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "serialNumber"
          /** Offset in extended configuration space */
          readonly at: string
          readonly value: string
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "ats"
          /** Offset in extended configuration space */
          readonly at: string
          readonly queueDepth: number
          readonly pageAligned: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "pageRequests"
          /** Offset in extended configuration space */
          readonly at: string
          /** Outstanding page requests */
          readonly capacity: number
          /** Responses carry the PASID of the request */
          readonly responsePasid?: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "pasid"
          /** Offset in extended configuration space */
          readonly at: string
          readonly widthBits: number
          /** Execute permission can be requested */
          readonly execute?: boolean
          /** Privileged mode can be requested */
          readonly privileged?: boolean
          /** A key of "sources" */
          readonly source?: string
        } | {
          readonly capability: "raw"
          /** Offset in extended configuration space */
          readonly at: string
          /** Capability ID; an extended one if it lies at 100h or above */
          readonly id: string
          /** Extended capabilities only */
          readonly version?: number
          /** What follows the header of 2 bytes, or of 4 of an extended capability */
          readonly bytes?: string
          /** A key of "sources" */
          readonly source?: string
        })[]
        /** Access and reset value of single bits, where the device differs from the specification */
        readonly overrides?: readonly {
          readonly offset: string
          /** Bits that software may write */
          readonly readWrite?: string
          /** Bits that software clears by writing 1 */
          readonly clearable?: string
          /** Bits that are read-only as the image has them */
          readonly readOnly?: string
          /** Value after reset of the bits in the mask */
          readonly reset?: {
            readonly mask: string
            readonly value: string
          }
        }[]
      }
      /** Virtual time from VF Enable until VFs answer; default 100 ms */
      readonly enableTimeNs?: number
      /** A key of "sources" */
      readonly source?: string
    }
    /** Whether functions of the device reach each other past the port above */
    readonly internalPeerToPeer?: boolean
    /** Device model behind its registers; without, they are plain storage */
    readonly registerModel?: string
    /** A key of "sources" */
    readonly source?: string
  }[]
  readonly queues?: {
    readonly receive: number
    readonly transmit: number
    readonly pools?: number
    /** A key of "sources" */
    readonly source?: string
  }
  /** Where drivers enable fewer virtual functions than TotalVFs */
  readonly usableVfs?: {
    readonly count: number
    readonly reason: string
    /** A key of "sources" */
    readonly source?: string
  }
  /** What is known to be special, for people */
  readonly quirks?: readonly {
    readonly text: string
    readonly source: string
  }[]
  /** Fields, with all below them, whose values nobody has checked against a source */
  readonly unverified?: readonly string[]
}

/** The table entry that lets a request pass */
export type DecidingEntry = {
  readonly unit?: string
  readonly table: "none" | "disabled" | "context" | "pasid" | "firstStage" | "secondStage" | "aperture" | "interrupt"
  /** Physical address of the entry */
  readonly address?: string
  /** All its words as one number */
  readonly raw?: string
  readonly level?: number
}

/** A data sheet in a line */
export type DeviceSummary = {
  /** What a topology gives as "model" */
  readonly name: string
  readonly title: string
  readonly vendorId: string
  /** Of function 0 */
  readonly deviceId: string
  readonly classCode: string
  readonly functions: number
  readonly totalVfs: number
  readonly vectors: number
  /** Speed and width; empty without a link */
  readonly link: string
  readonly unverified: number
}

export type Disk = {
  readonly vm: string
  readonly model: "emulation" | "paravirtual" | "queuePair" | "virtualFunction" | "direct"
  readonly function: string | null
  /** Where the guest finds it */
  readonly guestAddress: string
  /** The driver of the guest */
  readonly driver: string
  /** Of 512 bytes */
  readonly sectors: number
}

/** How a DMA request ended. What hardware does is a result, not an error. */
export type DmaResult = {
  readonly outcome: "completed" | "partial" | "fault" | "aborted" | "notIssued" | "interrupt"
  /** bytes as an even number of hexadecimal digits, lowest address first */
  readonly data?: string
  /** One for each 4-KiB page, ascending */
  readonly parts: readonly {
    /** hexadecimal text like "0x1000" */
    readonly address: string
    readonly length: number
    readonly outcome: "completed" | "fault" | "aborted" | "notIssued" | "interrupt"
    readonly target?: "memory" | "peer"
    /** hexadecimal text like "0x1000" */
    readonly physicalAddress?: string
    /** Whether the function used an address from its device-TLB */
    readonly translated?: boolean
    readonly fault?: Fault
    readonly cause?: "remappingFault" | "unsupportedRequest" | "completerAbort" | "busMasterDisabled" | "acsBlocked" | "bridgeBusMasterDisabled" | "translationDenied" | "pageRequested" | "pasidDisabled" | "completionTimeout" | "poisoned" | "phantomDisabled" | "outstanding"
  }[]
  readonly fault?: Fault
  readonly cause?: "remappingFault" | "unsupportedRequest" | "completerAbort" | "busMasterDisabled" | "acsBlocked" | "bridgeBusMasterDisabled" | "translationDenied" | "pageRequested" | "pasidDisabled" | "completionTimeout" | "poisoned" | "phantomDisabled" | "outstanding"
}

/** What a function has logged: Device Status and Advanced Error Reporting */
export type ErrorLog = {
  /** Device Status */
  readonly device: readonly ("correctable" | "nonFatal" | "fatal" | "unsupportedRequest")[]
  readonly uncorrectable: readonly string[]
  readonly correctable: readonly string[]
  readonly firstError?: string
  /** Header Log: four dwords of the packet with the first error */
  readonly header?: string
  readonly root?: {
    /** Root Error Status */
    readonly received: readonly string[]
    readonly correctableSource: string
    readonly uncorrectableSource: string
  }
  readonly containment?: {
    readonly triggered: boolean
    readonly reason: "unmaskedError" | "nonFatalMessage" | "fatalMessage" | "extended"
    readonly source: string
  }
}

export type Event = {
  readonly sequence: number
  /** Virtual time, nanoseconds */
  readonly timeNs: number
  readonly kind: string
  /** One sentence for people */
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}

export type Experiment = {
  readonly id: string
  readonly title: string
  readonly state: "running" | "done" | "failed" | "cancelled"
  readonly points: number
  readonly done: number
  /** Whether all is as the document expects */
  readonly passed?: boolean
  /** Of everything that happened at every point */
  readonly traceHash?: string
  readonly error?: {
    readonly code: string
    readonly message: string
  }
}

export type ExperimentComparison = {
  readonly a: string
  readonly b: string
  readonly pairs: readonly {
    /** What both have in common */
    readonly at: Readonly<Record<string, string>>
    readonly metrics: readonly {
      readonly metric: string
      readonly unit: string
      readonly a: number
      readonly b: number
    }[]
    readonly latency: {
      readonly a: number
      readonly b: number
      /** What the time is made of, nanoseconds of an operation, the largest difference first */
      readonly parts: readonly {
        readonly part: string
        readonly a: number
        readonly b: number
        readonly difference: number
      }[]
    }
    readonly processorTime: {
      readonly a: number
      readonly b: number
      /** What the time is made of, nanoseconds of an operation, the largest difference first */
      readonly parts: readonly {
        readonly part: string
        readonly a: number
        readonly b: number
        readonly difference: number
      }[]
    }
    readonly bottleneck: {
      readonly a: string | null
      readonly b: string | null
    }
    readonly why: readonly string[]
  }[]
}

export type ExperimentDocument = {
  /** For editors */
  readonly $schema?: string
  readonly title: string
  /** What is shown, for people */
  readonly about?: string
  /** The machine: name of a shipped topology, path of a document, or the document itself. Gives sockets, cores, link and IOMMU mode */
  readonly topology?: string | Readonly<Record<string, unknown>>
  /** Model of the adapter in the topology; default: the first */
  readonly adapter?: string
  readonly seed?: number
  /** What a timed simulation is asked */
  readonly configuration: {
    readonly seed?: number
    /** Time before anything is measured, ns */
    readonly warmUp?: number
    /** Time that is measured, ns */
    readonly duration?: number
    readonly machine?: {
      /** Cost file: a processor generation of costs/timing */
      readonly costs?: string
      /** Other values for parameters of the cost file, by their names */
      readonly overrides?: Readonly<Record<string, number>>
      readonly sockets?: number
      /** Of all sockets */
      readonly cores?: number
      readonly threadsPerCore?: 1 | 2
      /** Processor clock; default: that of the cost file */
      readonly gigahertz?: number
    }
    readonly link?: {
      readonly generation?: number
      readonly lanes?: 1 | 2 | 4 | 8 | 12 | 16 | 32
      /** Max_Payload_Size, bytes */
      readonly mps?: 128 | 256 | 512 | 1024 | 2048 | 4096
      /** Max_Read_Request_Size, bytes */
      readonly mrrs?: 128 | 256 | 512 | 1024 | 2048 | 4096
      /** Read Completion Boundary, bytes */
      readonly rcb?: 64 | 128
    }
    readonly adapter?: {
      /** Line rate of a port */
      readonly gbps?: number
      readonly ports?: number
      /** Descriptors of a ring; queues of datagrams between software hold as many */
      readonly ringSize?: number
      /** Least time between two interrupts of a queue, ns */
      readonly moderation?: number
    }
    readonly iommu?: {
      /** Of the kernel that owns the device. An assigned device has a static map unless this is off */
      readonly mode?: "off" | "passThrough" | "strict" | "deferred"
      /** Largest page of the mappings */
      readonly pageSize?: "4KiB" | "2MiB" | "1GiB"
      /** Of I/O virtual addresses */
      readonly allocator?: "tree" | "cached"
      /** Map and unmap for each buffer, or recycle buffers that stay mapped */
      readonly buffers?: "perBuffer" | "pool"
      /** Invalidate with IH: paging-structure caches are kept */
      readonly leafOnly?: boolean
      /** Buffers unmapped by one invalidation in strict mode */
      readonly batch?: number
      /** Buffers of a batch have neighbouring addresses */
      readonly contiguous?: boolean
      /** A virtual machine has an IOMMU of its own, whose maps cost exits */
      readonly nested?: boolean
    }
    readonly workload?: {
      readonly kind: "network"
      readonly model?: "native" | "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct"
      readonly vms?: number
      /** Of each virtual machine */
      readonly vcpus?: number
      /** Where the back end of emulated and paravirtual devices runs */
      readonly backend?: "kernel" | "user" | "sidecore"
      /** Interrupts of assigned devices are posted */
      readonly posted?: boolean
      /** Interrupts are taken and completed by the guest without exits (ELI) */
      readonly exitless?: boolean
      /** What a guest does with nothing to do: one that polls never exits to halt, so that interrupts find it running */
      readonly idle?: "halt" | "poll"
      /** EOI of virtual interrupts without an exit */
      readonly apicVirtualization?: boolean
      readonly direction?: "receive" | "transmit" | "both"
      /** Flow-controlled bytes, datagrams at an offered rate, or one message at a time */
      readonly pattern?: "stream" | "datagrams" | "requestResponse"
      /** What the application hands over at once */
      readonly messageBytes?: number
      /** Of IPv4, headers included, bytes */
      readonly mtu?: number
      /** Receive queues of the host, where it sorts packets for machines */
      readonly hostQueues?: number
      /** Of a hypervisor without queues for its machines: a switch and back ends as threads of a host kernel, or all of it in one go where the adapter interrupts */
      readonly structure?: "kernel" | "onePiece"
      /** Switch and back ends see large packets too: the host joins received ones */
      readonly hostOffload?: boolean
      /** Of each virtual machine, or of the host */
      readonly flows?: number
      /** Bytes of a stream that may be unacknowledged; default: what the wire holds in 200 µs, shared by all */
      readonly window?: number
      /** Datagrams a second offered to each machine; default: line rate */
      readonly rate?: number
      /** Segmentation and receive offload: the stack of whoever runs the application sees large packets */
      readonly offload?: boolean
    } | {
      readonly kind: "storage"
      readonly model?: "native" | "emulated" | "paravirtual" | "direct" | "sriov"
      readonly vms?: number
      /** Of each virtual machine */
      readonly vcpus?: number
      /** Where the back end of emulated and paravirtual devices runs */
      readonly backend?: "kernel" | "user" | "sidecore"
      /** Interrupts of assigned devices are posted */
      readonly posted?: boolean
      /** Interrupts are taken and completed by the guest without exits (ELI) */
      readonly exitless?: boolean
      /** What a guest does with nothing to do: one that polls never exits to halt, so that interrupts find it running */
      readonly idle?: "halt" | "poll"
      /** EOI of virtual interrupts without an exit */
      readonly apicVirtualization?: boolean
      readonly operation?: "read" | "write"
      readonly blockBytes?: number
      readonly jobs?: number
      /** Requests of a job under way */
      readonly depth?: number
      readonly completion?: "interrupt" | "poll"
    } | {
      readonly kind: "dma"
      readonly operation?: "read" | "write" | "readWrite" | "writeThenRead"
      /** All engines at once, or one transfer at a time */
      readonly measure?: "bandwidth" | "latency"
      readonly bytes?: number
      /** Transfers go to this many bytes, in random order */
      readonly windowBytes?: number
      /** Whether the window lies in the last-level cache */
      readonly cache?: "warm" | "cold"
      /** Memory of another socket than the link's */
      readonly remote?: boolean
    } | {
      readonly kind: "mapping"
      /** Processors that map and unmap in a loop */
      readonly cores?: number
      /** Of one mapping */
      readonly pages?: number
      /** Mappings that each processor holds at a time */
      readonly live?: number
      /** Time that a processor spends elsewhere between two rounds, ns */
      readonly other?: number
    }
  }
  /** Every combination is a point; the last changes fastest */
  readonly axes?: readonly ({
    /** Default: the last part of the field */
    readonly name?: string
    /** What changes, as a JSON pointer into the configuration */
    readonly field: string
    readonly values: readonly (string | number | boolean)[]
  } | {
    /** Default: the last part of the field */
    readonly name?: string
    readonly field: string
    readonly from: number
    readonly to: number
    /** Added from one value to the next */
    readonly step?: number
    /** Multiplied from one value to the next */
    readonly times?: number
  } | {
    readonly name: string
    /** Named settings of several fields at once */
    readonly cases: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>
  })[]
  /** Columns; default: by the kind of work */
  readonly metrics?: readonly ("operationsPerSecond" | "throughput" | "latencyMean" | "latencyP50" | "latencyP99" | "latencyP999" | "processors" | "processorShare" | "guestProcessors" | "hostProcessors" | "processorTime" | "drops" | "dropShare" | "exits" | "interrupts" | "injections" | "copies" | "transfers" | "doorbells" | "iotlbMisses" | "iotlbMissesPer4KiB" | "tableReads" | "tableReadsPer4KiB" | "pagingMissesLevel2Per4KiB" | "pagingMissesLevel3Per4KiB" | "pagingMissesLevel4Per4KiB" | "maps" | "invalidations" | "invalidationTime" | "addressTime" | "mapTime" | "unmapTime")[]
  readonly expect?: readonly {
    /** What is expected, as a sentence */
    readonly say: string
    /** Points with these values of axes; a list means any of them */
    readonly where?: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>>
    readonly metric?: "operationsPerSecond" | "throughput" | "latencyMean" | "latencyP50" | "latencyP99" | "latencyP999" | "processors" | "processorShare" | "guestProcessors" | "hostProcessors" | "processorTime" | "drops" | "dropShare" | "exits" | "interrupts" | "injections" | "copies" | "transfers" | "doorbells" | "iotlbMisses" | "iotlbMissesPer4KiB" | "tableReads" | "tableReadsPer4KiB" | "pagingMissesLevel2Per4KiB" | "pagingMissesLevel3Per4KiB" | "pagingMissesLevel4Per4KiB" | "maps" | "invalidations" | "invalidationTime" | "addressTime" | "mapTime" | "unmapTime"
    /** Judges the ratio to the point that differs in these axes only */
    readonly over?: Readonly<Record<string, string | number | boolean>>
    readonly atLeast?: number
    readonly atMost?: number
    /** Judges the course of the metric along this axis */
    readonly along?: string
    readonly goes?: "up" | "down" | "level"
    /** Share by which a course may stray; default 0.02 */
    readonly within?: number
    /** One of these resources */
    readonly bottleneck?: string | readonly string[]
  }[]
  /** Default: every metric along the longest axis of numbers */
  readonly plots?: readonly {
    readonly metric: "operationsPerSecond" | "throughput" | "latencyMean" | "latencyP50" | "latencyP99" | "latencyP999" | "processors" | "processorShare" | "guestProcessors" | "hostProcessors" | "processorTime" | "drops" | "dropShare" | "exits" | "interrupts" | "injections" | "copies" | "transfers" | "doorbells" | "iotlbMisses" | "iotlbMissesPer4KiB" | "tableReads" | "tableReadsPer4KiB" | "pagingMissesLevel2Per4KiB" | "pagingMissesLevel3Per4KiB" | "pagingMissesLevel4Per4KiB" | "maps" | "invalidations" | "invalidationTime" | "addressTime" | "mapTime" | "unmapTime"
    readonly along: string
    /** Of the axis; default: log if it multiplies */
    readonly scale?: "linear" | "log"
    /** Points with these values of axes; a list means any of them */
    readonly where?: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>>
  }[]
}

export type ExperimentResult = {
  readonly format: string
  /** Version that made it */
  readonly northbridge: string
  readonly document: Readonly<Record<string, unknown>>
  readonly axes: readonly {
    readonly name: string
    readonly values: readonly string[]
  }[]
  readonly metrics: readonly {
    readonly name: string
    readonly unit: string
    readonly about: string
  }[]
  readonly points: readonly {
    /** Its value on every axis */
    readonly at: Readonly<Record<string, string>>
    /** Metrics; breakdown and processorBreakdown, whose parts sum to their total; resources with their utilisation, bottleneck and next; counts; notes */
    readonly result: {
      readonly metrics: Readonly<Record<string, number>>
      readonly traceHash: string
    }
  }[]
  readonly expectations: readonly {
    readonly say: string
    readonly passed: boolean
    readonly found: string
  }[]
  readonly passed: boolean
  readonly traceHash: string
}

export type ExplainedIommuGroup = {
  readonly id: number
  readonly functions: readonly string[]
  readonly owner: Owner
  readonly why: readonly {
    readonly function: string
    /** The function through which it joined */
    readonly joined?: string
    readonly rule: "founder" | "alias" | "unisolatedPath" | "multifunction" | "sharedBus"
    /** The port or function that lacks isolation */
    readonly lackedBy?: string
    /** ACS bits that would be needed there */
    readonly missing?: readonly string[]
    readonly text: string
  }[]
  /** Cheapest first */
  readonly repairs: readonly GroupRepair[]
  readonly whyNot: string | null
}

export type Explanation = {
  readonly steps: readonly {
    /** What was asked, and the answer */
    readonly check: string
    /** Where the specification says so */
    readonly section?: string
    /** hexadecimal text like "0x1000" */
    readonly entryAddress?: string
    readonly raw?: string
    readonly fields?: Readonly<Record<string, unknown>>
    /** `memory`, or the cache that answered */
    readonly from?: string
    readonly outcome: "passed" | "failed"
  }[]
  readonly outcome: "translated" | "passedThrough" | "notTranslated" | "interrupt" | "fault" | "blocked"
  /** hexadecimal text like "0x1000" */
  readonly physicalAddress?: string
  readonly fault?: {
    /** hexadecimal text like "0x1000" */
    readonly reason: string
    readonly name: string
    readonly source: string
    /** hexadecimal text like "0x1000" */
    readonly address: string
    readonly unit: string
    /** Fault Processing Disable keeps some from being recorded */
    readonly recorded: boolean
  }
  /** The smallest change that would let the request pass */
  readonly repair?: string
}

export type ExportedFile = {
  /** Below the folder of the export */
  readonly path: string
  readonly text?: string
  /** Contents that are no text */
  readonly base64?: string
  /** Of a symbolic link: where it leads */
  readonly link?: string
}

export type Failover = {
  readonly platform: string
  /** It was switched off first */
  readonly fenced: boolean
  readonly detectionNs: number
  readonly machines: readonly {
    readonly vm: string
    readonly to: string
    /** From its checkpoint; from its definition; not at all */
    readonly outcome: "resumed" | "restarted" | "lost"
    /** Of a loss */
    readonly reason?: string
    /** What it had and has no more */
    readonly missing: readonly string[]
    /** From its checkpoint to the death of its platform, by that one’s clock */
    readonly workLostNs: number
    /** From the death to its going on */
    readonly downtimeNs: number
  }[]
}

/** What a remapping unit recorded */
export type Fault = {
  /** Fault reason code of the specification */
  readonly reason: string
  readonly name: string
  /** Requester id as the unit saw it */
  readonly source: string
  /** hexadecimal text like "0x1000" */
  readonly address: string
  readonly unit: string
}

/** A fault that waits, or was injected */
export type FaultInjection = {
  readonly number: number
  readonly kind: "memoryBit" | "tableBit" | "interruptEntryBit" | "randomTableBit" | "lostCompletion" | "lateCompletion" | "silentDeviceTlb" | "linkDown" | "surpriseRemoval" | "stuckDma" | "poisonedCompletion" | "failedReset" | "interruptStorm" | "detectedError"
  readonly state: "waiting" | "injected" | "impossible" | "cleared"
  readonly fault: Readonly<Record<string, unknown>>
  /** Virtual nanoseconds at which it is due */
  readonly at?: number
  /** Waits for */
  readonly after?: {
    readonly operation: string
    readonly with: Readonly<Record<string, unknown>>
    readonly left: number
  }
  /** When it was injected */
  readonly time?: number
  /** How often it will still go wrong; 9007199254740991 for a fault that nothing but a reset ends */
  readonly remaining?: number
  /** What was done, or why it could not be */
  readonly text: string
}

/** What breaks when: written out, or made from a seed */
export type FaultPlan = {
  readonly faults: readonly {
    /** Virtual time from the start of the plan */
    readonly at?: number
    readonly after?: {
      /** Name of an operation, e.g. `dma` */
      readonly operation: string
      /** Fields that its input must have */
      readonly with?: Readonly<Record<string, unknown>>
      /** Once it has succeeded so often */
      readonly times?: number
    }
    readonly fault: {
      readonly kind: "memoryBit"
      /** Of a dword in memory */
      readonly physicalAddress: string
      readonly bit: number
      readonly change?: "flip" | "set" | "clear"
    } | {
      readonly kind: "tableBit"
      /** Whose tables */
      readonly function: string
      readonly table: "root" | "context" | "pasidDirectory" | "pasid" | "firstStage" | "secondStage"
      /** Input address that the entry covers */
      readonly address?: string
      /** Of a paging entry; default: the leaf */
      readonly level?: number
      readonly pasid?: number
      readonly bit: number
      readonly change?: "flip" | "set" | "clear"
    } | {
      readonly kind: "interruptEntryBit"
      readonly function: string
      readonly vector: number
      readonly bit: number
      readonly change?: "flip" | "set" | "clear"
    } | {
      readonly kind: "randomTableBit"
      /** Chooses one present entry of the tables of the function, and one of its bits */
      readonly seed: number
      readonly function: string
    } | {
      readonly kind: "lostCompletion"
      /** A remapping unit by its id */
      readonly unit: string
      readonly times?: number
    } | {
      readonly kind: "lateCompletion"
      /** A remapping unit by its id */
      readonly unit: string
      readonly delayNs: number
      readonly times?: number
    } | {
      readonly kind: "silentDeviceTlb"
      /** Does not answer invalidations of its device-TLB */
      readonly function: string
      /** Answers so late instead of never */
      readonly delayNs?: number
      readonly times?: number
    } | {
      readonly kind: "linkDown"
      /** The port above the link */
      readonly function: string
      /** Default: until `links set` makes it whole */
      readonly durationNs?: number
    } | {
      readonly kind: "surpriseRemoval"
      /** The port */
      readonly function: string
    } | {
      readonly kind: "stuckDma"
      readonly function: string
      /** Reads that get no completion; default: until a reset */
      readonly times?: number
      /** false: it has no completion timeout and waits for ever */
      readonly timesOut?: boolean
    } | {
      readonly kind: "poisonedCompletion"
      readonly function: string
      readonly times?: number
    } | {
      readonly kind: "failedReset"
      readonly function: string
      /** Default: until another kind of reset */
      readonly durationNs?: number
      /** Request Retry Status, or nobody at all */
      readonly answers?: "retry" | "nothing"
      readonly times?: number
    } | {
      readonly kind: "interruptStorm"
      readonly function: string
      readonly vector: number
      readonly messages: number
      readonly intervalNs?: number
    } | {
      readonly kind: "detectedError"
      readonly function: string
      readonly error: "dataLinkProtocol" | "surpriseDown" | "poisonedTlp" | "flowControlProtocol" | "completionTimeout" | "completerAbort" | "unexpectedCompletion" | "receiverOverflow" | "malformedTlp" | "ecrc" | "unsupportedRequest" | "acsViolation" | "uncorrectableInternal" | "receiverError" | "badTlp" | "badDllp" | "replayNumRollover" | "replayTimerTimeout" | "advisoryNonFatal" | "correctedInternal" | "headerLogOverflow"
    }
  }[]
} | {
  readonly seed: number
  readonly durationNs: number
  /** Faults of each kind per second of virtual time */
  readonly rates: Readonly<Record<string, number>>
  /** Functions, and ports for links; default: all that are there */
  readonly targets?: readonly string[]
}

/** A primary fault: `recorded` while it is in a fault recording register, `read` once the driver took it */
export type FaultRecord = {
  readonly index: number
  readonly state: "recorded" | "read"
  /** hexadecimal text like "0x1000" */
  readonly reason: string
  readonly name: string
  /** Requester id as the unit saw it */
  readonly source: string
  /** hexadecimal text like "0x1000" */
  readonly address: string
  readonly access: "read" | "write"
  readonly unit: string
}

/** The journey of one frame, step by step, and what it cost */
export type FrameTrace = {
  /** Whether the sender could send it at all */
  readonly sent: boolean
  readonly length: number
  /** Guests that have it in a buffer of theirs */
  readonly received: readonly {
    readonly vm: string
    readonly slot: number
    /** Byte for byte */
    readonly intact: boolean
  }[]
  readonly steps: readonly {
    readonly at: string
    readonly step: string
    readonly detail: Readonly<Record<string, unknown>>
  }[]
  readonly exits: number
  readonly exitsByReason: Readonly<Record<string, number>>
  /** By the hypervisor, between its memory and the guest’s */
  readonly copies: number
  readonly copiedBytes: number
  /** Accesses of processors that reached a function */
  readonly registerReads: number
  readonly registerWrites: number
  /** Requests of devices, interrupt messages apart */
  readonly dmaReads: number
  readonly dmaWrites: number
  readonly iotlbLookups: number
  readonly iotlbHits: number
  readonly tableReads: number
  /** Interrupt messages of devices */
  readonly interrupts: number
}

export type Function = {
  readonly address: string
  readonly kind: "PF" | "VF" | "endpoint" | "rootPort" | "upstreamPort" | "downstreamPort" | "bridge" | "hostBridge"
  /** hexadecimal text like "0x1000" */
  readonly vendorId: string
  /** hexadecimal text like "0x1000" */
  readonly deviceId: string
  /** hexadecimal text like "0x1000" */
  readonly subsystemVendorId: string
  /** hexadecimal text like "0x1000" */
  readonly subsystemId: string
  /** hexadecimal text like "0x1000" */
  readonly classCode: string
  /** hexadecimal text like "0x1000" */
  readonly revision: string
  readonly parent: string | null
  readonly physicalFunction?: string
  readonly virtualFunctions?: readonly string[]
  readonly sriov?: {
    readonly totalVfs: number
    readonly numVfs: number
    readonly offset: number
    readonly stride: number
  }
  readonly bars: readonly Bar[]
  readonly capabilities: readonly string[]
  readonly group: number | null
  readonly remappingUnit: string | null
  readonly driver: string | null
  readonly owner: Owner
  readonly numaNode: number
  readonly resetMethods: readonly string[]
}

export type FunctionIsolation = {
  readonly function: string
  readonly owner: Owner
  readonly group: number | null
  readonly mates: readonly {
    readonly function: string
    readonly owner: Owner
  }[]
  /** As the remapping unit sees it */
  readonly requesterId: string
  readonly unit: string | null
  /** Why nothing of it passes */
  readonly closed?: {
    readonly at: string
    readonly because: string
  }
  readonly memory: readonly {
    readonly owner: PhysicalOwner
    /** hexadecimal text like "0x1000" */
    readonly physicalAddress: string
    readonly size: number
    /** Where the function finds it */
    readonly address: string
    readonly read: boolean
    readonly write: boolean
    readonly pasid?: number
    /** Nested translation: the guest’s tables may permit less */
    readonly atMost?: boolean
    readonly entry: DecidingEntry
  }[]
  readonly complete: boolean
  readonly vectors: readonly {
    readonly index: number
    readonly target: string
    readonly posted: boolean
    readonly entry: DecidingEntry
  }[]
  /** Its messages are not remapped: it can raise any interrupt */
  readonly anyVector: boolean
  /** Reached without passing the root complex */
  readonly peers: readonly {
    readonly function: string
    readonly read: boolean
    readonly write: boolean
    /** Where its requests turn */
    readonly at: string
    readonly offersRedirect: boolean
  }[]
  /** It may send requests as translated already (ATS) */
  readonly trusted: boolean
}

/** A change of the machine that splits a group; it was tried */
export type GroupRepair = {
  readonly kind: "enableAccessControl" | "move" | "replace"
  readonly cost: number
  readonly functions: readonly string[]
  /** Bits of ACS control to be set there */
  readonly bits?: readonly string[]
  /** The free port above the other slot */
  readonly to?: string
  /** The kernel parameter that does it */
  readonly parameter?: string
  /** The groups that come of it */
  readonly parts: readonly (readonly string[])[]
  readonly text: string
}

export type GuestMapping = {
  readonly function: string
  /** I/O virtual address of the guest */
  readonly address: string
  readonly pages: number
  /** In the host’s tables for this function, afterwards */
  readonly mappings: number
  /** VM exits of the guest’s kernel, idle loop included */
  readonly exits: number
  readonly exitsByHandler: Readonly<Record<string, number>>
}

/** One architectural operation of a virtual processor */
export type GuestOperation = {
  readonly op: "cpuid"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly leaf: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly subleaf?: string | number
} | {
  readonly op: "hlt"
} | {
  readonly op: "pause"
} | {
  readonly op: "sti"
} | {
  readonly op: "cli"
} | {
  readonly op: "nop"
} | {
  readonly op: "in"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly port: string | number
  /** one of 1, 2, 4 */
  readonly width: 1 | 2 | 4
} | {
  readonly op: "out"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly port: string | number
  /** one of 1, 2, 4 */
  readonly width: 1 | 2 | 4
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "rdmsr"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly msr: string | number
} | {
  readonly op: "wrmsr"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly msr: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "read"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
  /** one of 1, 2, 4, 8 */
  readonly width: 1 | 2 | 4 | 8
} | {
  readonly op: "write"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
  /** one of 1, 2, 4, 8 */
  readonly width: 1 | 2 | 4 | 8
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "vmcall"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly number: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly argument?: string | number
} | {
  readonly op: "rdtsc"
} | {
  readonly op: "rdtscp"
} | {
  readonly op: "rdpid"
} | {
  readonly op: "rdpmc"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly counter: string | number
} | {
  readonly op: "invd"
} | {
  readonly op: "wbinvd"
} | {
  readonly op: "invlpg"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "clts"
} | {
  readonly op: "smsw"
} | {
  readonly op: "movFromCr"
  /** one of 0, 2, 3, 4, 8 */
  readonly cr: 0 | 2 | 3 | 4 | 8
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "movFromDr"
  /** one of 0, 1, 2, 3, 4, 5, 6, 7 */
  readonly dr: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "sgdt"
} | {
  readonly op: "sidt"
} | {
  readonly op: "sldt"
} | {
  readonly op: "str"
} | {
  readonly op: "pushf"
} | {
  readonly op: "rdrand"
} | {
  readonly op: "rdseed"
} | {
  readonly op: "ud2"
} | {
  readonly op: "int3"
} | {
  readonly op: "int"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly vector: string | number
} | {
  readonly op: "vmxon"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "vmclear"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "vmptrld"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "vmptrst"
} | {
  readonly op: "vmxoff"
} | {
  readonly op: "vmlaunch"
} | {
  readonly op: "vmresume"
} | {
  readonly op: "vmread"
  /** the name of a VMCS field, or its encoding */
  readonly field: string | string | number
} | {
  readonly op: "vmwrite"
  /** the name of a VMCS field, or its encoding */
  readonly field: string | string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "invept"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly type: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly eptp?: string | number
} | {
  readonly op: "invvpid"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly type: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly vpid?: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address?: string | number
}

export type GuestRemappingUnit = {
  readonly mode: "shadow" | "nested"
  /** hexadecimal text like "0x1000" */
  readonly base: string
  /** GSTS.TES of the guest’s unit */
  readonly translates: boolean
  /** GSTS.IRES */
  readonly remapsInterrupts: boolean
  readonly functions: readonly {
    /** Address on the host */
    readonly function: string
    /** Requester id in the guest */
    readonly source: string
    readonly mappings: number
    /** Mapped in the host’s tables for this function */
    readonly pages: number
  }[]
  readonly registers: readonly {
    readonly name: string
    readonly value: string
  }[]
  /** Fault records that the guest has not cleared yet */
  readonly records: readonly {
    /** Fault reason code of the specification */
    readonly reason: string
    readonly name: string
    /** Requester id in the guest */
    readonly source: string
    readonly address: string
    readonly access: "read" | "write"
  }[]
  /** Faults that the guest’s kernel has read, oldest first */
  readonly faults: readonly {
    /** Fault reason code of the specification */
    readonly reason: string
    readonly name: string
    /** Requester id in the guest */
    readonly source: string
    readonly address: string
    readonly access: "read" | "write"
  }[]
  readonly counters: {
    readonly registerReads: number
    readonly registerWrites: number
    /** How often the host’s tables followed the guest’s */
    readonly followed: number
    /** Faults of functions that the guest’s unit recorded */
    readonly faults: number
    /** Faults that are no business of the guest’s unit */
    readonly withheldFaults: number
    /** Interrupt requests that the guest’s unit blocked */
    readonly blockedInterrupts: number
  }
}

export type GuestRemappingUse = {
  readonly enabled: boolean
  /** VM exits of the guest’s kernel, idle loop included */
  readonly exits: number
  readonly exitsByHandler: Readonly<Record<string, number>>
}

export type HostCpu = {
  readonly processors: number
  readonly machines: readonly VmCpu[]
}

export type HostMemory = {
  readonly totalPages: number
  readonly freePages: number
  /** Free, or to be had from virtual machines, and promised to nobody */
  readonly unreservedPages: number
  /** Host pages that stand for several guest pages */
  readonly sharedPages: number
  /** Guest pages that they stand for */
  readonly sharedBy: number
  readonly sharing: "none" | "vm" | "host"
  readonly machines: readonly VmMemory[]
}

export type HotResetMember = {
  readonly function: string
  readonly group: number | null
  readonly owner: Owner
}

export type InjectableFault = {
  readonly kind: "memoryBit"
  /** Of a dword in memory */
  readonly physicalAddress: string
  readonly bit: number
  readonly change?: "flip" | "set" | "clear"
} | {
  readonly kind: "tableBit"
  /** Whose tables */
  readonly function: string
  readonly table: "root" | "context" | "pasidDirectory" | "pasid" | "firstStage" | "secondStage"
  /** Input address that the entry covers */
  readonly address?: string
  /** Of a paging entry; default: the leaf */
  readonly level?: number
  readonly pasid?: number
  readonly bit: number
  readonly change?: "flip" | "set" | "clear"
} | {
  readonly kind: "interruptEntryBit"
  readonly function: string
  readonly vector: number
  readonly bit: number
  readonly change?: "flip" | "set" | "clear"
} | {
  readonly kind: "randomTableBit"
  /** Chooses one present entry of the tables of the function, and one of its bits */
  readonly seed: number
  readonly function: string
} | {
  readonly kind: "lostCompletion"
  /** A remapping unit by its id */
  readonly unit: string
  readonly times?: number
} | {
  readonly kind: "lateCompletion"
  /** A remapping unit by its id */
  readonly unit: string
  readonly delayNs: number
  readonly times?: number
} | {
  readonly kind: "silentDeviceTlb"
  /** Does not answer invalidations of its device-TLB */
  readonly function: string
  /** Answers so late instead of never */
  readonly delayNs?: number
  readonly times?: number
} | {
  readonly kind: "linkDown"
  /** The port above the link */
  readonly function: string
  /** Default: until `links set` makes it whole */
  readonly durationNs?: number
} | {
  readonly kind: "surpriseRemoval"
  /** The port */
  readonly function: string
} | {
  readonly kind: "stuckDma"
  readonly function: string
  /** Reads that get no completion; default: until a reset */
  readonly times?: number
  /** false: it has no completion timeout and waits for ever */
  readonly timesOut?: boolean
} | {
  readonly kind: "poisonedCompletion"
  readonly function: string
  readonly times?: number
} | {
  readonly kind: "failedReset"
  readonly function: string
  /** Default: until another kind of reset */
  readonly durationNs?: number
  /** Request Retry Status, or nobody at all */
  readonly answers?: "retry" | "nothing"
  readonly times?: number
} | {
  readonly kind: "interruptStorm"
  readonly function: string
  readonly vector: number
  readonly messages: number
  readonly intervalNs?: number
} | {
  readonly kind: "detectedError"
  readonly function: string
  readonly error: "dataLinkProtocol" | "surpriseDown" | "poisonedTlp" | "flowControlProtocol" | "completionTimeout" | "completerAbort" | "unexpectedCompletion" | "receiverOverflow" | "malformedTlp" | "ecrc" | "unsupportedRequest" | "acsViolation" | "uncorrectableInternal" | "receiverError" | "badTlp" | "badDllp" | "replayNumRollover" | "replayTimerTimeout" | "advisoryNonFatal" | "correctedInternal" | "headerLogOverflow"
}

export type InterruptJourney = {
  readonly outcome: "handled" | "pending" | "notSent"
  /** Whether a posted-interrupt descriptor took it */
  readonly posted: boolean
  readonly vm?: string
  readonly vcpu?: number
  readonly guestVector?: number
  /** VM exits from the message to the end of the guest’s handler, by reason */
  readonly exits: readonly string[]
  readonly steps: readonly {
    readonly number: number
    /** What happened, in one word */
    readonly step: string
    /** The same for people */
    readonly message: string
    readonly detail: Readonly<Record<string, unknown>>
  }[]
}

export type InterruptLine = {
  readonly processor: number
  readonly vector: number
  /** Function and message, or unit and event */
  readonly name: string
  readonly count: number
  /** Nobody cared for too many of them: the handler does not run */
  readonly disabled: boolean
}

export type InterruptResult = {
  readonly outcome: "delivered" | "pending" | "blocked" | "notIssued"
  /** Whether an interrupt remapping table entry was used */
  readonly remapped: boolean
  readonly irteIndex?: number
  /** Entered into a posted interrupt descriptor; the vector is the notification’s */
  readonly posted?: boolean
  /** hexadecimal text like "0x1000" */
  readonly destination?: string
  readonly hostVector?: number
  readonly vm?: string
  readonly vcpu?: number
  readonly guestVector?: number
  readonly fault?: Fault
  readonly cause?: string
}

export type IommuGroup = {
  readonly id: number
  readonly functions: readonly string[]
  readonly owner: Owner
  readonly why: readonly {
    readonly function: string
    /** The function through which it joined */
    readonly joined?: string
    readonly rule: "founder" | "alias" | "unisolatedPath" | "multifunction" | "sharedBus"
    /** The port or function that lacks isolation */
    readonly lackedBy?: string
    /** ACS bits that would be needed there */
    readonly missing?: readonly string[]
    readonly text: string
  }[]
}

/** What is wrong, where the host can put it right by itself */
export type IsolationDefect = {
  readonly kind: "translation" | "requester" | "interrupt" | "redirect"
  /** Whose table entry it is, or at which port the bit is */
  readonly function: string
  /** Physical address of the entry */
  readonly entry?: string
}

export type IsolationDifference = {
  readonly changes: readonly {
    readonly change: "gained" | "lost"
    readonly function: string
    readonly what: "read" | "write" | "interrupt" | "registers" | "mate"
    readonly owner?: PhysicalOwner
    /** hexadecimal text like "0x1000" */
    readonly physicalAddress?: string
    readonly size?: number
    readonly target?: string
  }[]
  readonly verdicts: readonly {
    readonly vms: readonly string[]
    readonly before: boolean | null
    readonly after: boolean | null
  }[]
}

export type IsolationPair = {
  readonly vms: readonly string[]
  readonly isolated: boolean
  readonly breaches: readonly {
    readonly kind: "memory" | "registers" | "interrupt"
    readonly function: string
    readonly from: string
    readonly to: string
    readonly reaches: string
    readonly entry?: DecidingEntry
    readonly acs?: {
      readonly function: string
      readonly bit: "RR"
      readonly offered: boolean
    }
    readonly text: string
    readonly repair: {
      readonly cost: number
      readonly text: string
      readonly defect?: IsolationDefect
    }
  }[]
  readonly conditions: readonly string[]
}

/** What functions can do by tables and access control as they stand */
export type IsolationReport = {
  readonly functions: readonly FunctionIsolation[]
  readonly pairs: readonly IsolationPair[]
}

/** How one side of a link aggregation speaks LACP (IEEE 802.1AX) */
export type Lacp = {
  readonly activity?: "active" | "passive"
  readonly timeout?: "short" | "long"
  readonly systemPriority?: number
}

/** A link of PCI Express, and the slot that it ends in */
export type Link = {
  /** The root port or downstream port */
  readonly port: string
  readonly up: boolean
  /** Negotiated; as it was last while the link is down */
  readonly speedGTs: number
  readonly width: number
  readonly occupied: boolean
  readonly slot?: {
    readonly hotPlug: boolean
    readonly powered: boolean
    readonly attentionButton: boolean
  }
}

export type LocalApic = {
  readonly apicId: number
  readonly mode: "disabled" | "xAPIC" | "x2APIC"
  /** Globally, and by the spurious-interrupt vector register */
  readonly enabled: boolean
  readonly taskPriority: number
  readonly processorPriority: number
  readonly requested: readonly number[]
  readonly inService: readonly number[]
  readonly levelTriggered: readonly number[]
  /** hexadecimal text like "0x1000" */
  readonly logicalId: string
  readonly spuriousVector: number
  /** hexadecimal text like "0x1000" */
  readonly errorStatus: string
  readonly timer: {
    readonly initialCount: number
    readonly currentCount: number
  }
  /** Local vector table: cmci, timer, thermal, performance, lint0, lint1, error */
  readonly localVectors: Readonly<Record<string, {
    /** hexadecimal text like "0x1000" */
    readonly entry: string
    readonly masked: boolean
  }>>
}

export type MemoryBalance = {
  /** Pages that were missing for the host to be at ease; negative: to spare */
  readonly shortage: number
  readonly shared: number
  readonly machines: readonly {
    readonly vm: string
    /** Pages that it was to lose; negative: got back */
    readonly asked: number
    readonly ballooned: number
    readonly swapped: number
  }[]
}

export type MemoryBytes = {
  /** hexadecimal text like "0x1000" */
  readonly address: string
  readonly length: number
  /** bytes as an even number of hexadecimal digits, lowest address first */
  readonly data: string
}

export type MemoryRange = {
  /** hexadecimal text like "0x1000" */
  readonly address: string
  readonly length: number
}

export type MemoryUsed = {
  readonly pages: number
  /** Pages that hold what an earlier use wrote */
  readonly held: number
  /** VM exits that brought memory */
  readonly faults: number
}

export type MigrationReport = {
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly outcome: "migrated" | "cancelled"
  /** The rest could be sent in the time allowed */
  readonly converged: boolean
  readonly rounds: readonly MigrationRound[]
  readonly stateBytes: number
  readonly finalPages: number
  /** Sent while the guest stood still */
  readonly finalBytes: number
  readonly bytes: number
  readonly downtimeNs: number
  readonly totalNs: number
  readonly postCopy: {
    readonly pages: number
    /** Pages that the guest waited for */
    readonly faults: number
    readonly hostFaults: number
    readonly stalledNs: number
    readonly durationNs: number
  } | null
  readonly primary: {
    readonly released: string
    readonly releaseNs: number
    readonly taken: string
  } | null
  /** Frames that came while the guest stood still */
  readonly framesLost: number
  readonly tracking: "accessedDirty" | "pml"
  readonly cost: {
    /** Leaves of tables that were looked at */
    readonly entriesRead: number
    /** VM exits because a log of pages was full */
    readonly logExits: number
  }
}

export type MigrationRound = {
  readonly round: number
  readonly pages: number
  readonly zeroPages: number
  readonly diskPages: number
  readonly bytes: number
  readonly durationNs: number
  /** Pages that changed meanwhile */
  readonly dirtied: number
  readonly dirtyPagesPerSecond: number
  /** Percent of its time that the guest was held back */
  readonly throttle: number
  /** Time that sending the rest would take */
  readonly expectedDowntimeNs: number
}

/** A network port of the machine */
export type NetworkAdapter = {
  readonly function: string
  readonly driver: string | null
  readonly owner: "none" | "driver" | "vm"
  /** Whether the host’s driver has brought it up */
  readonly open: boolean
  readonly carrier: boolean
  readonly speedMbps: number
  readonly line: "timed" | "instant"
  /** From the wire */
  readonly framesIn: number
  readonly framesOut: number
  /** Sent while there was no carrier, either way */
  readonly lost: number
  readonly drops: Readonly<Record<string, number>>
}

export type NetworkAdapterDetail = {
  readonly function: string
  readonly driver: string | null
  readonly owner: "none" | "driver" | "vm"
  /** Whether the host’s driver has brought it up */
  readonly open: boolean
  readonly carrier: boolean
  readonly speedMbps: number
  readonly line: "timed" | "instant"
  /** From the wire */
  readonly framesIn: number
  readonly framesOut: number
  /** Sent while there was no carrier, either way */
  readonly lost: number
  readonly drops: Readonly<Record<string, number>>
  readonly eswitch: "legacy" | "switchdev" | null
  readonly mac: string | null
  readonly counters: Readonly<Record<string, number>> | null
  readonly virtualFunctions: readonly {
    readonly vf: number
    readonly mac: string | null
    /** a MAC address like "02:00:00:00:00:01" */
    readonly inUse: string
    readonly vlan: number
    readonly vlans: readonly number[]
    readonly spoofCheck: boolean
    readonly trusted: boolean
    readonly maximumRate: number
    /** Its driver has announced itself since its last reset */
    readonly clearToSend: boolean
    readonly multicastHashes: number
    readonly promiscuous: "none" | "multicast" | "unicast"
    readonly spoofed: number | null
  }[]
  readonly registers: Readonly<Record<string, unknown>> | null
}

/** A network device of a virtual machine, as its guest uses it */
export type NetworkDevice = {
  readonly vm: string
  readonly slot: number
  readonly model: "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct"
  /** a MAC address like "02:00:00:00:00:01" */
  readonly mac: string
  readonly switch?: string
  readonly function?: string
  readonly pool?: number
  /** Of the guest */
  readonly driver: string
  readonly counters: Readonly<Record<string, number>>
  /** Of a device that the hypervisor serves: frames that ended in it */
  readonly drops?: Readonly<Record<string, number>>
}

export type NvmeController = {
  readonly function: string
  /** CNTLID; 0 is the primary controller */
  readonly controllerId: number
  /** CSTS.RDY */
  readonly ready: boolean
  /** Secondary controllers: the Online state */
  readonly online: boolean
  /** Queue pairs, the admin queues included */
  readonly queueResources: number
  readonly interruptResources: number
  readonly submissionQueues: readonly {
    readonly id: number
    readonly size: number
    readonly head: number
    readonly tail: number
    readonly completionQueue: number
  }[]
  readonly completionQueues: readonly {
    readonly id: number
    readonly size: number
    readonly head: number
    readonly tail: number
    readonly phase: number
    readonly vector: number
  }[]
  /** Commands */
  readonly completed: number
  readonly counters: ControllerRequests
}

export type NvmeNamespace = {
  /** NSID */
  readonly id: number
  readonly blocks: number
  readonly blockSize: number
  /** Several controllers may be attached at a time */
  readonly shared: boolean
  /** Functions whose controllers are attached */
  readonly functions: readonly string[]
  readonly file: string | null
}

/** An Ethernet switch outside of the machine */
export type OutsideSwitch = {
  readonly name: string
  readonly aggregation: "none" | "static" | "lacp"
  readonly links: readonly {
    readonly function: string
    readonly carrier: boolean
    readonly usable: boolean
  }[]
  readonly team: {
    readonly mode: "activeBackup" | "balance" | "lacp"
    readonly hash: "portId" | "sourceMac" | "layer2" | "layer2+3" | "layer3+4"
    readonly active: string | null
    readonly sent: number
    readonly received: number
    readonly lost: number
    readonly failovers: number
    readonly announcements: number
    /** Frames that wait now for an uplink that is busy */
    readonly waiting: number
    /** State machines of link aggregation, by link */
    readonly lacp: readonly {
      readonly link: string
      readonly receive: "portDisabled" | "expired" | "defaulted" | "current"
      readonly mux: "detached" | "waiting" | "attached" | "collecting" | "distributing"
      readonly group: number
      /** LACPDUs */
      readonly sent: number
      readonly received: number
      readonly actor: {
        /** Priority and address */
        readonly system: string
        readonly key: number
        readonly port: number
        /** The bits that are set, by name */
        readonly state: string
      }
      readonly partner: {
        /** Priority and address */
        readonly system: string
        readonly key: number
        readonly port: number
        /** The bits that are set, by name */
        readonly state: string
      }
    }[]
  } | null
  readonly ports: readonly {
    readonly name: string
    readonly kind: "vm" | "uplink" | "representor"
    /** "access 10", or "trunk" with its native VLAN */
    readonly vlan: string
    readonly framesIn: number
    readonly bytesIn: number
    readonly framesOut: number
    readonly bytesOut: number
    readonly droppedIn: Readonly<Record<string, number>>
    readonly droppedOut: Readonly<Record<string, number>>
  }[]
  readonly addresses: readonly {
    /** a MAC address like "02:00:00:00:00:01" */
    readonly mac: string
    readonly vlan: number
    readonly port: string
  }[]
  readonly mirrors: readonly {
    readonly ports: readonly string[]
    readonly direction: "in" | "out" | "both"
    readonly to: string
  }[]
}

/** Who uses a function: nobody, a driver of the host, or a virtual machine */
export type Owner = {
  readonly kind: "none" | "driver" | "vm"
  readonly name?: string
}

/** To whom a part of the physical address space belongs */
export type PhysicalOwner = {
  readonly kind: "vm" | "host" | "function" | "nobody"
  readonly name?: string
}

export type PlannedMachine = {
  readonly vm: string
  readonly host: string
  readonly grants: readonly {
    readonly resource: string
    readonly devices: readonly string[]
  }[]
  /** Functions to attach, in order */
  readonly steps: readonly {
    readonly attach: string
  }[]
  readonly disrupted: readonly {
    readonly device: string
    readonly text: string
  }[]
  /** Granted by the policy, but the kernel would not */
  readonly kernelRefuses: readonly PolicyRefusal[]
}

export type Platform = {
  readonly id: string
  readonly name: string
  /** Name of the topology that it was made from */
  readonly topology: string
  readonly seed: number
  readonly power: "on" | "off"
  /** Virtual time since the world began, nanoseconds */
  readonly timeNs: number
  readonly functions: number
  readonly vms: number
  readonly lastEvent: number
}

export type PlatformArchive = {
  readonly format: "northbridge-platform"
  readonly formatVersion: number
  /** Version that wrote it */
  readonly northbridge: string
  /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
  readonly name: string
  readonly topology: TopologyDocument
  readonly seed: number
  /** What had been done to it, as far back as it was kept */
  readonly commands: readonly Command[]
  /** As it stood then: JSON, compressed with zstd, as base64 */
  readonly state: string
  readonly stateHash: string
  /** Of everything else in the file */
  readonly digest: string
}

export type PlatformDetail = {
  readonly id: string
  readonly name: string
  /** Name of the topology that it was made from */
  readonly topology: string
  readonly seed: number
  readonly power: "on" | "off"
  /** Virtual time since the world began, nanoseconds */
  readonly timeNs: number
  readonly functions: number
  readonly vms: number
  readonly lastEvent: number
  /** Digest of the whole state: equal states have equal digests */
  readonly stateHash: string
}

/** A device that was looked at, and the first rule that it failed */
export type PolicyCandidate = {
  readonly device: string
  /** Rules it passed before that */
  readonly passed: number
  readonly refusal?: PolicyRefusal
}

export type PolicyExplanation = {
  readonly system: string
  readonly granted: boolean
  readonly devices: readonly string[]
  readonly refusal: PolicyRefusal | null
  readonly kernelRefuses: readonly PolicyRefusal[]
  readonly need: string | null
  readonly nearestMiss: PolicyCandidate | null
  readonly candidates: readonly PolicyCandidate[]
}

/** A system that assigns devices, and its configuration */
export type PolicyInput = {
  readonly system: "northbridge" | "nova" | "sriov-network-device-plugin" | "sriov-network-operator" | "kubernetes-topology-manager" | "kubernetes-dra" | "libvirt" | "kubevirt" | "proxmox-qemu-server" | "ovirt" | "xapi" | "linux-vfio"
  /** Configuration files as the system has them */
  readonly files: readonly {
    readonly name: string
    readonly text: string
  }[]
}

export type PolicyRefusal = {
  /** As the system calls the error */
  readonly errorClass: string
  readonly text: string
  readonly device?: string
}

/** RFC 9457. Further members carry the facts of the error. */
export type Problem = {
  /** `urn:northbridge:problem:<code>` */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: "invalidDocument" | "invalidArgument" | "malformedInput" | "notFound" | "nameTaken" | "alreadyDone" | "poweredOff" | "hostHalted" | "platformAlive" | "functionInUse" | "vmPaused" | "notMigratable" | "functionNotAssignable" | "groupNotViable" | "noRemapping" | "noInterruptRemapping" | "policyRefused" | "sriovUnsupported" | "sriovOutOfRange" | "sriovBusy" | "resetUnavailable" | "outOfMemory" | "memoryPinned" | "outOfResources" | "topologyConflict" | "expectationFailed" | "experimentRunning" | "experimentCancelled" | "limitExceeded" | "idempotencyConflict" | "unsupported" | "unauthenticated" | "forbidden" | "payloadTooLarge" | "unsupportedMediaType" | "storeFailed" | "worldUnavailable" | "stateUnavailable" | "defect"
  readonly instance?: string
  readonly issues?: readonly {
    /** JSON pointer of the wrong field */
    readonly path: string
    readonly message: string
  }[]
}

/** One architectural operation of a processor */
export type ProcessorOperation = {
  readonly op: "cpuid"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly leaf: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly subleaf?: string | number
} | {
  readonly op: "hlt"
} | {
  readonly op: "pause"
} | {
  readonly op: "sti"
} | {
  readonly op: "cli"
} | {
  readonly op: "nop"
} | {
  readonly op: "in"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly port: string | number
  /** one of 1, 2, 4 */
  readonly width: 1 | 2 | 4
} | {
  readonly op: "out"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly port: string | number
  /** one of 1, 2, 4 */
  readonly width: 1 | 2 | 4
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "rdmsr"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly msr: string | number
} | {
  readonly op: "wrmsr"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly msr: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "read"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
  /** one of 1, 2, 4, 8 */
  readonly width: 1 | 2 | 4 | 8
} | {
  readonly op: "write"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
  /** one of 1, 2, 4, 8 */
  readonly width: 1 | 2 | 4 | 8
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "vmcall"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly number: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly argument?: string | number
} | {
  readonly op: "rdtsc"
} | {
  readonly op: "rdtscp"
} | {
  readonly op: "rdpid"
} | {
  readonly op: "rdpmc"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly counter: string | number
} | {
  readonly op: "invd"
} | {
  readonly op: "wbinvd"
} | {
  readonly op: "invlpg"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "clts"
} | {
  readonly op: "smsw"
} | {
  readonly op: "movFromCr"
  /** one of 0, 2, 3, 4, 8 */
  readonly cr: 0 | 2 | 3 | 4 | 8
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "movFromDr"
  /** one of 0, 1, 2, 3, 4, 5, 6, 7 */
  readonly dr: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "sgdt"
} | {
  readonly op: "sidt"
} | {
  readonly op: "sldt"
} | {
  readonly op: "str"
} | {
  readonly op: "pushf"
} | {
  readonly op: "rdrand"
} | {
  readonly op: "rdseed"
} | {
  readonly op: "ud2"
} | {
  readonly op: "int3"
} | {
  readonly op: "int"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly vector: string | number
} | {
  readonly op: "vmxon"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "vmclear"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "vmptrld"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "vmptrst"
} | {
  readonly op: "vmxoff"
} | {
  readonly op: "vmlaunch"
} | {
  readonly op: "vmresume"
} | {
  readonly op: "vmread"
  /** the name of a VMCS field, or its encoding */
  readonly field: string | string | number
} | {
  readonly op: "vmwrite"
  /** the name of a VMCS field, or its encoding */
  readonly field: string | string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "invept"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly type: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly eptp?: string | number
} | {
  readonly op: "invvpid"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly type: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly vpid?: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address?: string | number
} | {
  readonly op: "iret"
} | {
  readonly op: "movSs"
} | {
  readonly op: "jumpFar"
  /** one of 16, 32, 64 */
  readonly bits: 16 | 32 | 64
} | {
  readonly op: "ins"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly port: string | number
  /** one of 1, 2, 4 */
  readonly width: 1 | 2 | 4
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "outs"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly port: string | number
  /** one of 1, 2, 4 */
  readonly width: 1 | 2 | 4
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "fetch"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "readLinear"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
  /** one of 1, 2, 4, 8 */
  readonly width: 1 | 2 | 4 | 8
} | {
  readonly op: "writeLinear"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
  /** one of 1, 2, 4, 8 */
  readonly width: 1 | 2 | 4 | 8
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "fetchLinear"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "movToCr"
  /** one of 0, 3, 4, 8 */
  readonly cr: 0 | 3 | 4 | 8
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "lmsw"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly source: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "movToDr"
  /** one of 0, 1, 2, 3, 4, 5, 6, 7 */
  readonly dr: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly register?: string | number
} | {
  readonly op: "rsm"
} | {
  readonly op: "getsec"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly leaf: string | number
} | {
  readonly op: "invpcid"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly type: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly pcid: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address?: string | number
} | {
  readonly op: "xsetbv"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly index: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly value: string | number
} | {
  readonly op: "xsaves"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly mask: string | number
} | {
  readonly op: "xrstors"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly mask: string | number
} | {
  readonly op: "monitor"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly address: string | number
} | {
  readonly op: "mwait"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly extensions?: string | number
} | {
  readonly op: "umwait"
} | {
  readonly op: "tpause"
} | {
  readonly op: "lgdt"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly base: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly limit: string | number
} | {
  readonly op: "lidt"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly base: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly limit: string | number
} | {
  readonly op: "lldt"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly selector: string | number
} | {
  readonly op: "ltr"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly selector: string | number
} | {
  readonly op: "popf"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly flags: string | number
} | {
  readonly op: "sysenter"
} | {
  readonly op: "sysexit"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly rip: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly rsp: string | number
} | {
  readonly op: "into"
} | {
  readonly op: "int1"
} | {
  readonly op: "fault"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly vector: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly error?: string | number
} | {
  readonly op: "taskSwitch"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly selector: string | number
  /** one of 0, 1, 2, 3 */
  readonly source: 0 | 1 | 2 | 3
} | {
  readonly op: "vmfunc"
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly function: string | number
  /** a number of at most 32 bits, or hexadecimal text like "0x1000" */
  readonly index: string | number
}

export type ProcessorRun = {
  readonly steps: readonly {
    readonly outcome: "done" | "vmExit" | "vmFailInvalid" | "vmFailValid" | "exception" | "interrupted" | "halted" | "shutdown"
    /** hexadecimal text like "0x1000" */
    readonly value: string
    readonly vector?: number
    readonly error?: {
      readonly number: number
      readonly meaning: string
    }
    readonly exit?: {
      readonly reason: string
      readonly code: number
      readonly entryFailure: boolean
      readonly qualification: Readonly<Record<string, unknown>>
      readonly instructionLength: number
      readonly interruption?: Readonly<Record<string, unknown>>
      readonly vectoring?: Readonly<Record<string, unknown>>
      /** hexadecimal text like "0x1000" */
      readonly guestRip: string
    }
  }[]
  readonly vmcs: Readonly<Record<string, string>>
  readonly brokenEntryRules: readonly {
    readonly id: string
    readonly states: string
  }[]
}

/** What is kept elsewhere of a virtual machine */
export type Protection = {
  readonly platform: string
  readonly vm: string
  /** The platform that takes it */
  readonly to: string
  /** It goes on from a checkpoint, or is made and started again */
  readonly by: "checkpoint" | "restart"
  readonly takenNs: number
  readonly memoryPages: number | null
  /** Why there is no checkpoint */
  readonly obstacles: readonly {
    readonly what: string
    readonly reason: string
  }[]
}

/** A token bucket */
export type RateLimit = {
  readonly bitsPerSecond: number
  /** bytes that may pass at once */
  readonly burst: number
}

export type Register = {
  readonly name: string
  /** hexadecimal text like "0x1000" */
  readonly offset: string
  readonly width: number
  readonly value: string
  readonly fields: Readonly<Record<string, unknown>>
}

export type RemappingUnit = {
  readonly id: string
  readonly segment: number
  readonly includeAll: boolean
  readonly numaNode: number
  /** Functions whose requests it translates */
  readonly functions: readonly string[]
  readonly kind: "intel-vtd" | "gart"
  /** Of the architecture, as VER says */
  readonly version?: string
  /** Fields of CAP and ECAP that are not 0, in their encodings */
  readonly capabilities: Readonly<Record<string, number>>
}

/** What a guest did that was asked for a function */
export type RemovalAnswer = {
  readonly function: string
  /** pending: the guest has not answered yet; the function goes when it does */
  readonly answer: "ejected" | "refused" | "pending"
  /** ACPI's name of why the guest keeps the function */
  readonly reason?: string
}

export type Resources = {
  readonly inUse: Readonly<Record<string, number>>
  readonly strays: readonly {
    readonly resource: string
    readonly what: string
  }[]
}

/** The way of one memory request, hop by hop */
export type Route = {
  readonly steps: readonly {
    /** The port or function that decides */
    readonly function: string
    readonly decision: "issued" | "notIssued" | "passedUp" | "aliased" | "bridgeClosed" | "linkDown" | "turned" | "redirected" | "violation" | "unsupported" | "passedDown" | "claimed" | "unclaimed" | "rootComplex" | "completionRedirected" | "completionLost"
    readonly acs?: "SV" | "TB" | "RR" | "CR" | "UF" | "EC" | "DT"
    readonly text: string
  }[]
  readonly target: "memory" | "peer" | "interrupt" | "none"
  readonly completion: "SC" | "UR" | "CA" | "none"
  /** As the root complex or the peer sees it, after bridges */
  readonly requesterId: string
  /** The remapping unit on the way */
  readonly unit?: string
  /** What that unit decides */
  readonly translation?: string
  /** hexadecimal text like "0x1000" */
  readonly physicalAddress?: string
}

/** A defect of the software that manages DMA */
export type SanitizerFinding = {
  readonly number: number
  readonly time: number
  readonly kind: "staleTranslation" | "staleContext" | "staleInterruptEntry" | "staleDeviceTlb" | "freedWhileMapped" | "freedBeforeInvalidation" | "remappedBeforeInvalidation" | "doubleMapping" | "tableFreed" | "untrustedTranslated" | "foreignInterrupt"
  readonly requester?: string
  /** hexadecimal text like "0x1000" */
  readonly address: string
  readonly text: string
  /** What software should have done */
  readonly missing: string
  /** What happened to the page before, oldest first */
  readonly history: readonly {
    /** Virtual nanoseconds */
    readonly time: number
    readonly event: "mapped" | "unmapped" | "invalidated"
    readonly unit: string
    /** -1: every domain */
    readonly domain: number
    /** hexadecimal text like "0x1000" */
    readonly address?: string
    /** hexadecimal text like "0x1000" */
    readonly physicalAddress?: string
    readonly size?: number
  }[]
}

export type SharingReport = {
  readonly scanned: number
  readonly merged: number
}

/** A virtual machine as it was; pages of zeros are not kept */
export type Snapshot = {
  readonly name: string
  readonly vm: string
  readonly platform: string | null
  readonly vcpus: number
  readonly memoryMiB: number
  /** What the guest’s clock showed */
  readonly clockNs: number
  readonly memoryPages: number
  readonly diskPages: number
  readonly networkDevices: number
  readonly digest: string
}

export type SnapshotDocument = {
  /** JSON text */
  readonly document: string
}

/** A host that is to become a virtual machine, as it was measured */
export type SourceHost = {
  /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
  readonly name: string
  readonly processors: number
  readonly memoryMiB: number
  /** How busy its processors are */
  readonly loadPercent: number
  readonly ownMiB?: number
  /** Memory that has the same contents in every host */
  readonly commonMiB?: number
  /** Memory that holds files and could do without */
  readonly cacheMiB?: number
  readonly shares?: number
  readonly reservationPercent?: number
  readonly reservationMiB?: number
  /** A virtual function reaches all memory of its machine, which is pinned then */
  readonly network?: "none" | "virtualFunction"
}

export type TableEntry = {
  readonly index: number
  readonly table: "root" | "context" | "pasidDirectory" | "pasid" | "firstStage" | "secondStage" | "aperture"
  /** Physical address of the entry */
  readonly address: string
  readonly raw: string
  readonly present: boolean
  readonly fields: Readonly<Record<string, unknown>>
  readonly level?: number
  /** hexadecimal text like "0x1000" */
  readonly input?: string
  /** Bytes of input addresses that it covers */
  readonly size?: number
}

export type TechniqueComparison = {
  readonly workload: string
  readonly bits: number
  readonly seed: number
  readonly rounds: number
  /** Name of the cost table */
  readonly costs: string
  readonly techniques: readonly TechniqueReport[]
  readonly multiMode: {
    readonly chosen?: string
    readonly allowed: readonly {
      readonly name: string
      readonly cycles: number
    }[]
    readonly filtered: readonly {
      readonly name: string
      readonly reason: string
    }[]
    readonly why: string
  }
  /** A profile of VT-i: looked up, not executed */
  readonly vtI: {
    readonly faults: number
    readonly accelerated: number
    readonly native: number
  }
}

export type TechniqueReport = {
  readonly technique: string
  /** Why it cannot be used; the rest is missing then */
  readonly unavailable?: string
  readonly exits?: Readonly<Record<string, number>>
  readonly traps?: Readonly<Record<string, number>>
  readonly hypercalls?: Readonly<Record<string, number>>
  readonly callouts?: Readonly<Record<string, number>>
  readonly counts?: Readonly<Record<string, number>>
  readonly translatedBlocks?: number
  readonly walks?: {
    readonly misses: number
    readonly paging: number
    readonly nested: number
  }
  readonly estimate?: {
    readonly cycles: number
    readonly low: number
    readonly high: number
  }
  /** Whether everything the guest could see equals bare metal */
  readonly equalsBareMetal?: boolean
  readonly selfChecks?: readonly {
    readonly name: string
    readonly about: string
    readonly passed: boolean
  }[]
}

/** Northbridge topology */
export type TopologyDocument = {
  /** For editors */
  readonly $schema?: string
  readonly name: string
  /** What this machine shows */
  readonly description?: string
  /** Width of physical addresses in bits */
  readonly hostAddressWidth?: number
  /** Sockets */
  readonly processors?: readonly {
    readonly numaNode?: number
    readonly logicalProcessors: number
  }[]
  /** RAM by proximity domain, lowest addresses first */
  readonly memory?: readonly {
    readonly numaNode?: number
    readonly sizeMiB: number
  }[]
  readonly iommu: {
    readonly kind: "intel-vtd"
    /** Whether the firmware offers interrupt remapping */
    readonly interruptRemapping?: boolean
    readonly units: readonly {
      readonly id: string
      readonly segment?: number
      /** Serves every function of the segment that is not wired to another unit */
      readonly includeAll?: boolean
      /** Register page, in 0xfed10000 to 0xfedfffff */
      readonly registerBase?: string
      readonly numaNode?: number
      /** Fields of CAP and ECAP that differ from those of a server chipset, in their encodings */
      readonly capabilities?: Readonly<Record<string, number>>
      /** Time that each register command and queued invalidation takes; none by default */
      readonly completionLatencyNs?: number
    }[]
    /** ATSRs: root ports below which device-TLBs may be used */
    readonly atsPorts?: readonly {
      readonly segment?: number
      /** Every root port of the segment */
      readonly allPorts?: boolean
      /** Root ports, if not all of the segment */
      readonly functions?: readonly string[]
    }[]
    /** SATCs: functions of the root complex with a device-TLB */
    readonly integratedCaches?: readonly {
      readonly segment?: number
      /** Whether the functions need their device-TLB enabled */
      readonly required?: boolean
      /** Functions of root buses with a device-TLB */
      readonly functions: readonly string[]
    }[]
    readonly namespaceDevices?: readonly {
      /** The unit that its requests reach */
      readonly unit: string
      /** Unique among these devices */
      readonly number: number
      readonly path: string
      /** What its requests carry, like "00:15.0" */
      readonly requesterId: string
    }[]
  } | {
    readonly kind: "gart"
    readonly id?: string
    /** Register page, in 0xfed10000 to 0xfedfffff */
    readonly registerBase?: string
  } | {
    readonly kind: "amd"
  } | {
    readonly kind: "none"
  }
  /** RMRRs */
  readonly reservedMemory?: readonly {
    readonly segment?: number
    /** First byte, a multiple of 4 KiB */
    readonly base: string
    /** Last byte */
    readonly limit: string
    /** Functions whose traffic to this memory must always pass */
    readonly functions: readonly string[]
  }[]
  /** Whether the board has a high precision event timer, at 0xfed00000 */
  readonly hpet?: boolean
  /** Network ports that are connected to each other; all others are connected to the outside world */
  readonly wires?: readonly {
    readonly segment?: number
    /** The two network ports */
    readonly functions: readonly string[]
  }[]
  readonly hostBridges: readonly {
    readonly segment?: number
    /** Number of the root bus */
    readonly bus?: number
    /** Last bus number below this host bridge; default: up to the next host bridge of the segment */
    readonly lastBus?: number
    readonly numaNode?: number
    /** The unit its functions are wired to, null for none; default: the segment's include-all unit */
    readonly remappingUnit?: string | null
    /** Where the root complex passes translated requests between functions on */
    readonly peerToPeer?: "none" | "withinHostBridge" | "everywhere"
    /** Whether firmware leaves hot-plug slots to the kernel (_OSC); else nobody serves them */
    readonly nativeHotplug?: boolean
    /** Root ports that ACS does not redirect pass requests to each other before any translation */
    readonly directPeerToPeer?: boolean
    readonly devices?: readonly TopologyDocumentPart0[]
  }[]
  /** Choices of the firmware */
  readonly firmware?: {
    /** Size that resizable BARs get: the one after reset, or the largest for which there is room */
    readonly resizableBars?: "asIs" | "largestThatFits"
  }
  readonly host?: {
    readonly commandLine?: string
    /** Whose rules for groups and VFIO apply; 7.2+bus-isolation groups as the 2025 rework would that was not merged */
    readonly kernel?: "6.1" | "7.2" | "7.2+bus-isolation"
    /** Drivers that functions get at boot, null for none; default: what the kernel has for their ids */
    readonly drivers?: Readonly<Record<string, string | null>>
  }
}

export type TopologyDocumentPart0 = {
  /** Device and function number on the bus above, like "1f.2" */
  readonly at: string
  /** Name of a data sheet in devices/ */
  readonly model?: string
  /** A function whose config space was read from a real machine */
  readonly imported?: {
    /** What to call it, e.g. the capture and address it came from */
    readonly name: string
    readonly kind: "hostBridge" | "rootPort" | "upstreamPort" | "downstreamPort" | "bridge" | "endpoint"
    /** Config space from offset 0; trailing zeros may be left out */
    readonly image: string
    readonly configSizeBytes: 256 | 4096
    /** Access and reset value of single bits, where the device differs from the specification */
    readonly overrides?: readonly {
      readonly offset: string
      /** Bits that software may write */
      readonly readWrite?: string
      /** Bits that software clears by writing 1 */
      readonly clearable?: string
      /** Bits that are read-only as the image has them */
      readonly readOnly?: string
      /** Value after reset of the bits in the mask */
      readonly reset?: {
        readonly mask: string
        readonly value: string
      }
    }[]
    /** Whether it keeps its registers from D3hot to D0 though No_Soft_Reset is clear */
    readonly keepsStateInD3?: boolean
    /** Virtual time after a reset in which configuration requests end with Request Retry Status */
    readonly resetTimeNs?: number
    /** Working registers of its standard hot-plug controller, as the SHPC capability shows them */
    readonly hotPlugRegisters?: readonly string[]
    readonly bars?: readonly {
      readonly index: number
      readonly kind: "memory32" | "memory64" | "io"
      readonly prefetchable?: boolean
      readonly sizeBytes: number
    }[]
    /** Device model behind its registers; without, they are plain storage */
    readonly registerModel?: string
    /** Whether functions of its device reach each other past the port above; default true */
    readonly internalPeerToPeer?: boolean
    readonly romSizeBytes?: number
    readonly sriov?: {
      /** First VF Offset and VF Stride with ARI Capable Hierarchy set */
      readonly ari: {
        readonly offset: number
        readonly stride: number
      }
      readonly nonAri: {
        readonly offset: number
        readonly stride: number
      }
      /** Sizes are of one VF */
      readonly bars?: readonly {
        readonly index: number
        readonly kind: "memory32" | "memory64" | "io"
        readonly prefetchable?: boolean
        readonly sizeBytes: number
      }[]
      /** Config space of a VF after reset */
      readonly image: string
      /** Access and reset value of single bits, where the device differs from the specification */
      readonly overrides?: readonly {
        readonly offset: string
        /** Bits that software may write */
        readonly readWrite?: string
        /** Bits that software clears by writing 1 */
        readonly clearable?: string
        /** Bits that are read-only as the image has them */
        readonly readOnly?: string
        /** Value after reset of the bits in the mask */
        readonly reset?: {
          readonly mask: string
          readonly value: string
        }
      }[]
      /** Virtual time from VF Enable until VFs answer; default 100 ms */
      readonly enableTimeNs?: number
    }
  }
  /** Which function of the data sheet this is; default: the one with the function number of `at`, or else the first */
  readonly functionOfModel?: number
  /** Overrides the bits of the ACS capability; [] removes the capability */
  readonly acs?: readonly ("SV" | "TB" | "RR" | "CR" | "UF" | "DT")[]
  /** Functions of a root bus only: the unit this one is wired to, null for none */
  readonly remappingUnit?: string | null
  /** Virtual functions that the host enables at boot */
  readonly numVfs?: number
  /** Bridges only: bus numbers that the firmware must give out */
  readonly bus?: {
    readonly secondary: number
    readonly subordinate: number
  }
  /** Bridges only: bus numbers to keep free below for hot-plug */
  readonly reservedBuses?: number
  /** Bridges only: what each window must hold at least, for hot-plug; default: 2 MiB of each kind of memory below a hot-plug slot where nothing else needs a window */
  readonly reservedWindows?: {
    readonly ioBytes?: number
    readonly memoryBytes?: number
    readonly prefetchableBytes?: number
  }
  /** Bridges only: windows that the firmware must program */
  readonly windows?: {
    /** null: closed, whatever is below */
    readonly io?: {
      /** First byte */
      readonly base: string
      /** Last byte */
      readonly limit: string
    } | null
    readonly memory?: {
      /** First byte */
      readonly base: string
      /** Last byte */
      readonly limit: string
    }
    readonly prefetchable?: {
      /** First byte */
      readonly base: string
      /** Last byte */
      readonly limit: string
    }
  }
  /** Addresses that the firmware must program, by BAR index */
  readonly barAddresses?: Readonly<Record<string, string>>
  /** Overrides the subsystem ids */
  readonly subsystem?: {
    readonly vendor: string
    readonly device: string
  }
  /** Bridges only: the functions on the secondary bus */
  readonly devices?: readonly TopologyDocumentPart0[]
}

export type TopologySummary = {
  readonly name: string
  readonly description: string
  /** Part of Northbridge; cannot be changed */
  readonly shipped: boolean
  readonly functions: number
  readonly processors: number
  readonly memoryMiB: number
  readonly iommu: string
  readonly remappingUnits: number
}

/** What became of offered frames */
export type TrafficReport = {
  readonly offered: number
  readonly sent: number
  /** By guests, in the order of their devices */
  readonly received: readonly {
    readonly vm: string
    readonly slot: number
    readonly frames: number
    readonly bytes: number
  }[]
  /** Frames that came out of the port */
  readonly leftByWire: number
  /** Of virtual time */
  readonly durationNs: number
  readonly adapterDrops: Readonly<Record<string, number>>
  readonly switchDrops: Readonly<Record<string, number>>
}

export type Vcpu = {
  readonly number: number
  readonly processor: number
  readonly state: "halted" | "running"
  readonly interruptsEnabled: boolean
  /** Vectors requested in the virtual APIC (IRR) */
  readonly pending: readonly number[]
  /** Vectors in service (ISR) */
  readonly inService: readonly number[]
  readonly taskPriority: number
  readonly processorPriority: number
  readonly exitsByReason: Readonly<Record<string, number>>
  readonly entries: number
  /** Injected interrupts by vector, `0x…` */
  readonly injected: Readonly<Record<string, number>>
  /** Interrupts that the processor delivered without a VM exit, by vector, `0x…` */
  readonly delivered: Readonly<Record<string, number>>
  /** The posted-interrupt descriptor */
  readonly notification?: {
    /** hexadecimal text like "0x1000" */
    readonly descriptor: string
    readonly vector: number
    /** hexadecimal text like "0x1000" */
    readonly destination: string
    readonly outstanding: boolean
    readonly suppressed: boolean
  }
  /** Where guests find VMX: who runs, entries of L2, and its VM exits by reason: those that L1 took, and those it did not learn of */
  readonly nested?: {
    readonly running: "l1" | "l2"
    readonly entries: number
    readonly reflected: Readonly<Record<string, number>>
    readonly handled: Readonly<Record<string, number>>
  }
}

export type VcpuInterrupt = {
  readonly accepted: boolean
  readonly pending: readonly number[]
  readonly inService: readonly number[]
}

export type VcpuPlacement = {
  readonly processor: number
  /** hexadecimal text like "0x1000" */
  readonly notificationDestination?: string
}

export type VcpuRun = {
  readonly results: readonly {
    readonly outcome: "done" | "halted" | "exception" | "vmExit" | "vmFailValid" | "vmFailInvalid"
    /** hexadecimal text like "0x1000" */
    readonly value?: string
    readonly registers?: {
      /** hexadecimal text like "0x1000" */
      readonly eax: string
      /** hexadecimal text like "0x1000" */
      readonly ebx: string
      /** hexadecimal text like "0x1000" */
      readonly ecx: string
      /** hexadecimal text like "0x1000" */
      readonly edx: string
    }
    readonly vector?: number
    /** hexadecimal text like "0x1000" */
    readonly error?: string
  }[]
  readonly exits: readonly {
    readonly reason: string
    readonly code: number
    readonly qualification: Readonly<Record<string, unknown>>
    /** hexadecimal text like "0x1000" */
    readonly guestPhysicalAddress?: string
    readonly level?: number
    readonly handledBy: string
    readonly operation: number | null
  }[]
}

export type VirtualApic = {
  readonly apicId: number
  readonly mode: "disabled" | "xAPIC" | "x2APIC"
  readonly enabled: boolean
  readonly taskPriority: number
  readonly processorPriority: number
  readonly requested: readonly number[]
  /** In the posted-interrupt descriptor, not taken yet */
  readonly posted: readonly number[]
  readonly inService: readonly number[]
  /** hexadecimal text like "0x1000" */
  readonly logicalId: string
  readonly spuriousVector: number
  /** hexadecimal text like "0x1000" */
  readonly errorStatus: string
  /** Local vector table: cmci, timer, thermal, performance, lint0, lint1, error */
  readonly localVectors: Readonly<Record<string, {
    /** hexadecimal text like "0x1000" */
    readonly entry: string
    readonly masked: boolean
  }>>
}

export type VirtualMachine = {
  readonly name: string
  readonly vcpus: number
  readonly memoryMiB: number
  readonly interrupts: "emulated" | "virtualized" | "posted"
  readonly nested: boolean
  readonly vmcsShadowing: boolean
  readonly program: "kernel" | "hypervisor"
  readonly state: "running" | "paused"
  readonly backing: "fixed" | "paged"
  readonly hugePages: "none" | "2MiB" | "1GiB"
  /** Ranges of guest memory, guest-physical */
  readonly memory: readonly {
    /** hexadecimal text like "0x1000" */
    readonly base: string
    readonly size: number
  }[]
  readonly devices: readonly AssignedDevice[]
}

export type VirtualSwitch = {
  readonly name: string
  readonly uplinks: readonly {
    readonly function: string
    readonly carrier: boolean
    readonly usable: boolean
  }[]
  readonly team: {
    readonly mode: "activeBackup" | "balance" | "lacp"
    readonly hash: "portId" | "sourceMac" | "layer2" | "layer2+3" | "layer3+4"
    readonly active: string | null
    readonly sent: number
    readonly received: number
    readonly lost: number
    readonly failovers: number
    readonly announcements: number
    /** Frames that wait now for an uplink that is busy */
    readonly waiting: number
    /** State machines of link aggregation, by link */
    readonly lacp: readonly {
      readonly link: string
      readonly receive: "portDisabled" | "expired" | "defaulted" | "current"
      readonly mux: "detached" | "waiting" | "attached" | "collecting" | "distributing"
      readonly group: number
      /** LACPDUs */
      readonly sent: number
      readonly received: number
      readonly actor: {
        /** Priority and address */
        readonly system: string
        readonly key: number
        readonly port: number
        /** The bits that are set, by name */
        readonly state: string
      }
      readonly partner: {
        /** Priority and address */
        readonly system: string
        readonly key: number
        readonly port: number
        /** The bits that are set, by name */
        readonly state: string
      }
    }[]
  }
  readonly ports: readonly {
    readonly name: string
    readonly kind: "vm" | "uplink" | "representor"
    /** "access 10", or "trunk" with its native VLAN */
    readonly vlan: string
    readonly framesIn: number
    readonly bytesIn: number
    readonly framesOut: number
    readonly bytesOut: number
    readonly droppedIn: Readonly<Record<string, number>>
    readonly droppedOut: Readonly<Record<string, number>>
  }[]
  readonly addresses: readonly {
    /** a MAC address like "02:00:00:00:00:01" */
    readonly mac: string
    readonly vlan: number
    readonly port: string
  }[]
  readonly mirrors: readonly {
    readonly ports: readonly string[]
    readonly direction: "in" | "out" | "both"
    readonly to: string
  }[]
}

export type VmCpu = {
  readonly vm: string
  readonly vcpus: number
  readonly shares: number
  readonly reservationPercent: number
  readonly limitPercent: number
  readonly loadPercent: number
  readonly usedNs: number
  /** What it was entitled to while it had something to compute */
  readonly entitledNs: number
  /** How long virtual processors waited for a processor */
  readonly readyNs: number
  readonly turns: number
  /** Turns on another processor than the one before */
  readonly moves: number
}

export type VmMemory = {
  readonly vm: string
  readonly memoryMiB: number
  readonly backing: "fixed" | "paged"
  /** Host pages of 4 KiB that are its own */
  readonly resident: number
  /** Pages of 2 MiB that make up a part of them */
  readonly largePages: number
  /** Pages whose host page stands for others too */
  readonly shared: number
  readonly swapped: number
  /** Pages that the guest gave back and has not used since */
  readonly ballooned: number
  readonly balloon: {
    readonly wanted: number
    readonly actual: number
    readonly driven: boolean
  } | null
  /** Part of the resident pages that was used lately */
  readonly active: number
  /** Who may reach all of it at any moment */
  readonly pinnedBy: readonly string[]
  /** Functions that ask for pages when they need them */
  readonly pagedFor: readonly string[]
  /** Pages that they have asked for and may reach now */
  readonly devicePages: number
  readonly shares: number
  readonly reservationMiB: number
  readonly limitMiB: number
  readonly counters: {
    readonly populated: number
    readonly swappedOut: number
    readonly swappedIn: number
    readonly merged: number
    readonly copied: number
    readonly broken: number
    readonly collapsed: number
    /** Pages that were brought because a function asked */
    readonly requested: number
    /** Pages that were taken back from functions */
    readonly recalled: number
  }
}

export type Vmcs = {
  readonly fields: Readonly<Record<string, string>>
}

export type VmcsWrite = {
  /** the name of a VMCS field */
  readonly field: string
  /** hexadecimal text like "0x1000" */
  readonly value: string
}

export type WorkloadSummary = {
  readonly name: string
  readonly description: string
  /** Word size of the guest: 32 or 64 */
  readonly bits: number
  readonly rounds: number
  readonly seed: number
}

/** Input and output of each operation. */
export interface Operations {
  /** Says that the server answers */
  readonly health: {
    readonly input: Readonly<Record<string, never>>
    readonly output: {
      readonly status: "ok"
    }
  }
  /** Says whether commands are taken: not while the server shuts down or its store cannot keep them */
  readonly readiness: {
    readonly input: Readonly<Record<string, never>>
    readonly output: {
      readonly status: "ready"
    }
  }
  /** Lists the topologies that platforms can be made from */
  readonly topologies: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly TopologySummary[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Stores a topology under its name */
  readonly createTopology: {
    readonly input: {
      readonly body: TopologyDocument
    }
    readonly output: TopologySummary
  }
  /** Judges a topology document without storing it; a wrong one is answered with its wrong fields */
  readonly validateTopology: {
    readonly input: {
      readonly body: TopologyDocument
    }
    readonly output: {
      readonly valid: true
      readonly topology: TopologySummary
    }
  }
  /** Shows a topology document, defaults filled in */
  readonly topology: {
    readonly input: {
      readonly name: string
    }
    readonly output: TopologyDocument
  }
  /** Stores a topology under the name in the path, in the place of one that had it */
  readonly replaceTopology: {
    readonly input: {
      readonly name: string
      readonly body: TopologyDocument
    }
    readonly output: TopologySummary
  }
  /** Forgets a topology; platforms made from it stay */
  readonly deleteTopology: {
    readonly input: {
      readonly name: string
    }
    readonly output: undefined
  }
  /** Stores a topology made of what another tool wrote of a machine */
  readonly importTopology: {
    readonly input: {
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      readonly format: "lspci" | "hwloc" | "libvirt"
      /** Output of lspci, XML of lstopo or of virsh nodedev-dumpxml, … */
      readonly text: string
    }
    readonly output: {
      readonly name: string
      readonly topology: TopologySummary
      /** What the text did not tell and was assumed */
      readonly notes: readonly string[]
    }
  }
  /** Lists the devices of the catalogue, which topologies name as models */
  readonly devices: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly DeviceSummary[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Shows the data sheet of a device, with the sources of its fields */
  readonly device: {
    readonly input: {
      readonly name: string
    }
    readonly output: DataSheet
  }
  /** Lists the platforms */
  readonly platforms: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly Platform[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Builds a platform from a topology and powers it on */
  readonly createPlatform: {
    readonly input: {
      readonly topology: string | TopologyDocument
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name?: string
      readonly seed?: number
    }
    readonly output: Platform
  }
  /** Shows a platform, with the digest of its state */
  readonly platformState: {
    readonly input: {
      readonly platform: string
    }
    readonly output: PlatformDetail
  }
  /** Switches a platform off and forgets it */
  readonly deletePlatform: {
    readonly input: {
      readonly platform: string
    }
    readonly output: undefined
  }
  /** Switches a platform on or off, or resets it; virtual machines do not survive */
  readonly power: {
    readonly input: {
      readonly platform: string
      readonly action: "on" | "off" | "reset"
    }
    readonly output: Platform
  }
  /** Writes a platform that is on in a format that other tools read */
  readonly exportPlatform: {
    readonly input: {
      readonly platform: string
      readonly format: "lspci" | "sysfs" | "acpi" | "qemu" | "hwloc" | "libvirt-nodedev" | "libvirt-hostdev"
    }
    readonly output: {
      readonly format: string
      readonly files: readonly ExportedFile[]
    }
  }
  /** Gives a platform with its history as one document that another installation can import */
  readonly archivePlatform: {
    readonly input: {
      readonly platform: string
    }
    readonly output: PlatformArchive
  }
  /** Makes a platform of what another installation has written of one, with its history */
  readonly importPlatform: {
    readonly input: {
      readonly archive: PlatformArchive
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name?: string
    }
    readonly output: Platform
  }
  /** Lists what has been done to a platform, as far back as it is kept */
  readonly commands: {
    readonly input: {
      readonly after?: number
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly Command[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Puts a platform back to where it stood after one of its commands; that is a command too */
  readonly rewindPlatform: {
    readonly input: {
      readonly platform: string
      readonly to: number
    }
    readonly output: Platform
  }
  /** Makes another platform in the state of this one, as it is or as it was after one of its commands */
  readonly forkPlatform: {
    readonly input: {
      readonly platform: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      readonly at?: number
    }
    readonly output: Platform
  }
  /** Lists the functions of a platform by address */
  readonly functions: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly Function[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Shows a function */
  readonly function: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: Function
  }
  /** Reads bytes of the configuration space of a function */
  readonly readConfig: {
    readonly input: {
      readonly offset?: number
      readonly length?: number
      readonly platform: string
      readonly function: string
    }
    readonly output: {
      readonly offset: number
      readonly length: number
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly data: string
    }
  }
  /** Enables this many virtual functions of a physical function; 0 disables them */
  readonly setNumVfs: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly numVfs: number
    }
    readonly output: Function
  }
  /** Resets a function by the best method it has */
  readonly resetFunction: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: {
      /** Linux's name: flr, af_flr, pm or bus */
      readonly method: string
    }
  }
  /** Chooses which resets of a function are used, in this order; by default all that it has, none: it is not reset */
  readonly setResetMethods: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly methods?: readonly ("flr" | "af_flr" | "pm" | "bus")[]
    }
    readonly output: {
      readonly function: string
      readonly methods: readonly string[]
    }
  }
  /** Tells the DMA engine of a function to read or write memory at an I/O virtual address */
  readonly dma: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly direction: "read" | "write"
      /** hexadecimal text like "0x1000" */
      readonly address: string
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly data?: string
      readonly length?: number
      /** process address space that the requests name */
      readonly pasid?: number
      /** true: use the device-TLB of the function, if ATS is enabled in it */
      readonly ats?: boolean
      /** true: privileged mode requested; needs a PASID */
      readonly privileged?: boolean
      /** true: execute permission requested; needs a PASID */
      readonly execute?: boolean
      /** send under the id of this phantom function */
      readonly phantom?: number
      /** true: the data is marked as corrupt */
      readonly poisoned?: boolean
    }
    readonly output: DmaResult
  }
  /** Tells a function to signal one of its MSI-X or MSI vectors */
  readonly interrupt: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly vector: number
    }
    readonly output: InterruptResult
  }
  /** Explains which way a memory request of a function would take, without sending it */
  readonly route: {
    readonly input: {
      readonly platform: string
      readonly function: string
      /** hexadecimal text like "0x1000" */
      readonly address: string
      readonly access: "read" | "write"
      readonly length?: number
      readonly addressType?: "untranslated" | "translated"
      /** true: the completion need not keep its order */
      readonly relaxedOrdering?: boolean
    }
    readonly output: Route
  }
  /** Shows the errors that a function has logged */
  readonly errorLog: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: ErrorLog
  }
  /** Lets a function detect an error, as a fault of its hardware would */
  readonly injectError: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly error: "dataLinkProtocol" | "surpriseDown" | "poisonedTlp" | "flowControlProtocol" | "completionTimeout" | "completerAbort" | "unexpectedCompletion" | "receiverOverflow" | "malformedTlp" | "ecrc" | "unsupportedRequest" | "acsViolation" | "uncorrectableInternal" | "receiverError" | "badTlp" | "badDllp" | "replayNumRollover" | "replayTimerTimeout" | "advisoryNonFatal" | "correctedInternal" | "headerLogOverflow"
    }
    readonly output: {
      readonly function: string
      readonly error: string
    }
  }
  /** Breaks something now: a bit of a table, a completion, a link, a reset */
  readonly injectFault: {
    readonly input: {
      readonly platform: string
      readonly fault: InjectableFault
    }
    readonly output: FaultInjection
  }
  /** Lists the faults that wait and those that were injected, in the order in which they were asked for */
  readonly injectedFaults: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly FaultInjection[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Forgets the faults that wait and ends those that go on; what has happened stays */
  readonly clearFaults: {
    readonly input: {
      readonly platform: string
    }
    readonly output: {
      readonly cleared: number
    }
  }
  /** Lets faults wait for their time or for operations; a plan is written out, or made from a seed */
  readonly faultPlan: {
    readonly input: {
      readonly platform: string
      readonly plan: FaultPlan
    }
    readonly output: {
      readonly faults: readonly FaultInjection[]
    }
  }
  /** Lets virtual time pass: what is due happens, and software takes the interrupts of it */
  readonly passTime: {
    readonly input: {
      readonly platform: string
      readonly nanoseconds: number
    }
    readonly output: {
      /** Virtual time since the world began */
      readonly timeNs: number
    }
  }
  /** Counts the interrupts that the host kernel took, by processor and vector */
  readonly interruptCounts: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly InterruptLine[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the links of a platform by the port above */
  readonly links: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly Link[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Breaks the link below a port, makes it whole, or lets it train with less than both ends can */
  readonly setLink: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly state: "whole" | "broken"
      /** the most that the wires carry */
      readonly speedGTs?: number
      readonly width?: number
    }
    readonly output: Link
  }
  /** Puts a card into the slot of a port: the given functions, or what was pulled out of it last */
  readonly insertCard: {
    readonly input: {
      readonly platform: string
      readonly function: string
      /** Functions as `devices` of a topology document describes them */
      readonly card?: readonly unknown[]
    }
    readonly output: Link
  }
  /** Pulls the card out of the slot of a port, whatever it is doing */
  readonly pullCard: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: Link
  }
  /** Presses the attention button of a slot: asks the host to let its card go, or to take one in */
  readonly pressButton: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: Link
  }
  /** Lists the memory that a driver of the host shares with a function */
  readonly buffers: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly function: string
    }
    readonly output: {
      readonly items: readonly Buffer[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Has the driver of a function allocate memory and make it reachable for the function */
  readonly allocateBuffer: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly pages: number
      readonly access?: "read" | "write" | "readWrite"
    }
    readonly output: Buffer
  }
  /** Has the driver of a function take memory back; in deferred mode units forget it later */
  readonly freeBuffer: {
    readonly input: {
      readonly platform: string
      readonly function: string
      /** hexadecimal text like "0x1000" */
      readonly address: string
    }
    readonly output: undefined
  }
  /** Makes every unit forget the memory that drivers took back in deferred mode */
  readonly flushBuffers: {
    readonly input: {
      readonly platform: string
    }
    readonly output: undefined
  }
  /** Lists the IOMMU groups, each with the reasons why its functions cannot be kept apart */
  readonly groups: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly IommuGroup[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Shows an IOMMU group, why its functions are in it, and by which changes it would fall apart */
  readonly group: {
    readonly input: {
      readonly platform: string
      readonly group: number
    }
    readonly output: ExplainedIommuGroup
  }
  /** Reports what every function reaches by the tables as they stand, and whether virtual machines are isolated */
  readonly isolationReport: {
    readonly input: {
      readonly platform: string
    }
    readonly output: IsolationReport
  }
  /** Compares an isolation report with another one, or with the platform as it stands */
  readonly isolationDiff: {
    readonly input: {
      readonly platform: string
      readonly before: IsolationReport
      readonly after?: IsolationReport
    }
    readonly output: IsolationDifference
  }
  /** Lets the host put right what an isolation report names as the defect behind a breach */
  readonly repairIsolation: {
    readonly input: {
      readonly platform: string
      readonly defect: IsolationDefect
    }
    readonly output: {
      /** Breaches that are no more */
      readonly repaired: readonly string[]
      /** The verdicts now */
      readonly pairs: readonly IsolationPair[]
    }
  }
  /** Starts to watch the software that manages DMA for defects, or ends the watch */
  readonly sanitizer: {
    readonly input: {
      readonly platform: string
      readonly state: "on" | "off"
    }
    readonly output: {
      readonly state: "on" | "off"
    }
  }
  /** Lists what the DMA sanitizer has found since it was switched on */
  readonly findings: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly SanitizerFinding[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the remapping units and the functions that each serves */
  readonly units: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly RemappingUnit[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the registers of a remapping unit by offset, with their fields */
  readonly registers: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly unit: string
    }
    readonly output: {
      readonly items: readonly Register[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the faults of a remapping unit, oldest first: those its driver read, then those in its registers */
  readonly faults: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly unit: string
    }
    readonly output: {
      readonly items: readonly FaultRecord[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Explains how a remapping unit would translate a request, step by step, without changing anything */
  readonly explain: {
    readonly input: {
      readonly platform: string
      readonly unit: string
      /** a function address like "0000:03:10.1" */
      readonly source: string
      /** hexadecimal text like "0x1000" */
      readonly address: string
      readonly access: "read" | "write"
    }
    readonly output: Explanation
  }
  /** Lists what the caches of a remapping unit hold, every field by name */
  readonly caches: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly unit: string
    }
    readonly output: {
      readonly items: readonly CacheEntry[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the entries that a remapping unit would walk for a requester, as they are in memory: at most 10,000 from an address on */
  readonly tables: {
    readonly input: {
      /** a function address like "0000:03:10.1" */
      readonly source: string
      readonly pasid?: number
      /** hexadecimal text like "0x1000" */
      readonly address?: string
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly unit: string
    }
    readonly output: {
      readonly items: readonly TableEntry[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the virtual machines of a platform by name */
  readonly vms: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly VirtualMachine[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Creates a virtual machine and starts its virtual processors */
  readonly createVm: {
    readonly input: {
      readonly platform: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      readonly vcpus: number
      readonly memoryMiB: number
      readonly interrupts?: "emulated" | "virtualized" | "posted"
      /** The guest finds VMX, and may run guests of its own */
      readonly nested?: boolean
      /** A guest with VMX reads and writes the most used fields of its VMCS without VM exits */
      readonly vmcsShadowing?: boolean
      /** Host pages for all of its memory at once, or for what is used, as long as it is */
      readonly backing?: "fixed" | "paged"
      /** The largest pages that its memory is made of; default 2MiB */
      readonly hugePages?: "none" | "2MiB" | "1GiB"
      /** Of paged memory: its claim on host memory */
      readonly memorySettings?: {
        /** Weight when there is too little memory; default 10 for each MiB */
        readonly shares?: number
        readonly reservationMiB?: number
        readonly limitMiB?: number
      }
      /** What runs in it: a kernel, or a hypervisor that runs the operations it is given in a guest of its own */
      readonly program?: "kernel" | "hypervisor"
      /** A remapping unit of its own: the host copies the guest’s tables, or walks them in place over its own */
      readonly viommu?: "shadow" | "nested"
    }
    readonly output: VirtualMachine
  }
  /** Shows a virtual machine and its devices */
  readonly vm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: VirtualMachine
  }
  /** Deletes a virtual machine; its devices go back to the host */
  readonly deleteVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: undefined
  }
  /** Gives a function to a virtual machine */
  readonly attach: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** a function address like "0000:03:10.1" */
      readonly function: string
      /** the VF token, a UUID: of a VF that of its PF, of a PF that of its VFs */
      readonly vfToken?: string
      /** Whether a function that cannot be reset is refused; default ifAvailable */
      readonly reset?: "required" | "ifAvailable"
      /** Of a machine whose memory is paged. onDemand: the function asks for each page that it needs; default pinned */
      readonly memory?: "pinned" | "onDemand"
    }
    readonly output: AssignedDevice
  }
  /** Takes a function back from a virtual machine */
  readonly detach: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly function: string
    }
    readonly output: undefined
  }
  /** Asks the guest of a virtual machine to let go of a function, and waits for it as long as told */
  readonly requestRemoval: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly function: string
      readonly waitMs?: number
    }
    readonly output: RemovalAnswer
  }
  /** A program in the guest opens a function, or closes it: its kernel keeps what is open */
  readonly holdDevice: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly function: string
      readonly open: boolean
    }
    readonly output: {
      readonly function: string
      readonly open: boolean
    }
  }
  /** Resets a function under its guest: by its own methods, or with its bus if all of that is the machine’s */
  readonly resetDevice: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly function: string
    }
    readonly output: {
      /** Linux's name: flr, af_flr, pm or bus; hot: with its bus */
      readonly method: string
      /** All that were reset */
      readonly functions: readonly string[]
    }
  }
  /** Lists what a reset of the bus of a function would hit, and whose it is */
  readonly hotResetMembers: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly vm: string
      readonly function: string
    }
    readonly output: {
      readonly items: readonly HotResetMember[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the VFIO containers of a platform: the I/O address spaces of virtual machines */
  readonly containers: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly Container[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Counts what the software of a platform has taken, and names what is taken and held by nobody */
  readonly resources: {
    readonly input: {
      readonly platform: string
    }
    readonly output: Resources
  }
  /** Has a virtual machine go on elsewhere when its platform dies: takes a checkpoint, each time anew */
  readonly protectVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly to: string
      /** Switches of the other platform for those of this one; default: of the same names */
      readonly switches?: Readonly<Record<string, string>>
      /** Functions of the other platform for those that a machine has which is started again */
      readonly functions?: Readonly<Record<string, string>>
    }
    readonly output: Protection
  }
  /** Forgets what is kept of a virtual machine: it ends with its platform */
  readonly unprotectVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: undefined
  }
  /** Lists virtual machines that go on elsewhere when their platform dies */
  readonly protections: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly Protection[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Has the protected virtual machines of a platform that died go on elsewhere */
  readonly failOver: {
    readonly input: {
      readonly platform: string
      /** A platform that still responds is switched off; default: that is refused */
      readonly fence?: boolean
      readonly detectMs?: number
    }
    readonly output: Failover
  }
  /** Reads guest memory at a guest-physical address */
  readonly readMemory: {
    readonly input: {
      /** hexadecimal text like "0x1000" */
      readonly address: string
      readonly length: number
      readonly platform: string
      readonly vm: string
    }
    readonly output: MemoryBytes
  }
  /** Writes guest memory at a guest-physical address */
  readonly writeMemory: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** hexadecimal text like "0x1000" */
      readonly address: string
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly data: string
    }
    readonly output: MemoryRange
  }
  /** Keeps the virtual processors of a virtual machine from running; what comes for its devices is not taken */
  readonly pauseVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: VirtualMachine
  }
  /** Lets a paused virtual machine go on; interrupts that waited for it are taken */
  readonly resumeVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: VirtualMachine
  }
  /** Lists the snapshots of virtual machines */
  readonly snapshots: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly Snapshot[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Keeps a snapshot that was given as a document */
  readonly importSnapshot: {
    readonly input: {
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      /** JSON text, as it was exported */
      readonly document: string
    }
    readonly output: Snapshot
  }
  /** Shows a snapshot */
  readonly snapshot: {
    readonly input: {
      readonly snapshot: string
    }
    readonly output: Snapshot
  }
  /** Forgets a snapshot */
  readonly deleteSnapshot: {
    readonly input: {
      readonly snapshot: string
    }
    readonly output: undefined
  }
  /** Keeps a virtual machine as it is now: memory, processors, devices, and a disk in the host’s memory */
  readonly takeSnapshot: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
    }
    readonly output: Snapshot
  }
  /** Puts a virtual machine back to what it was in a snapshot of it */
  readonly rewindVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly snapshot: string
      /** It stays paused; default false */
      readonly paused?: boolean
    }
    readonly output: VirtualMachine
  }
  /** Makes a virtual machine of a snapshot, on this platform or any other */
  readonly placeSnapshot: {
    readonly input: {
      readonly snapshot: string
      readonly platform: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name?: string
      /** Switches of this platform for those of the document; default: those of the same names */
      readonly switches?: Readonly<Record<string, string>>
      /** Functions of this platform for assigned ones of the document */
      readonly functions?: Readonly<Record<string, string>>
      /** It stays paused; default false */
      readonly paused?: boolean
    }
    readonly output: VirtualMachine
  }
  /** Makes a second virtual machine of one that is, or was: it goes on from there, with addresses of its own */
  readonly cloneVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      readonly snapshot?: string
      /** Of its network devices, in the order of their slots; default: made of the name */
      readonly macs?: readonly string[]
      /** Switches of this platform for those of the document; default: those of the same names */
      readonly switches?: Readonly<Record<string, string>>
    }
    readonly output: VirtualMachine
  }
  /** Gives a snapshot as a document, which any server takes */
  readonly exportSnapshot: {
    readonly input: {
      readonly snapshot: string
    }
    readonly output: SnapshotDocument
  }
  /** Moves a running virtual machine to another platform; tells rounds, bytes and downtime */
  readonly migrateVm: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** The other platform */
      readonly to: string
      readonly bandwidthMbps?: number
      readonly latencyNs?: number
      readonly downtimeLimitNs?: number
      readonly maxRounds?: number
      readonly ifNotConverging?: "stopAndCopy" | "cancel"
      readonly autoConverge?: boolean
      readonly postCopyAfter?: number
      readonly tracking?: "accessedDirty" | "pml"
      /** Who tells which pages functions write: the devices, or their remapping units by dirty flags; default device */
      readonly deviceTracking?: "device" | "secondStage"
      /** The function of the other platform for the one for which a standby stands in (failover teaming) */
      readonly primary?: string
      /** What the guest does meanwhile: it writes page after page of a range, round and round */
      readonly load?: {
        readonly vcpu?: number
        /** hexadecimal text like "0x1000" */
        readonly address: string
        readonly pages: number
        readonly pagesPerSecond: number
      }
      /** Functions of the other platform for assigned ones here whose state can be taken out of them */
      readonly functions?: Readonly<Record<string, string>>
      /** Switches of the other platform for those here */
      readonly switches?: Readonly<Record<string, string>>
    }
    readonly output: MigrationReport
  }
  /** Tells what a conversion of a machine would keep, change and not carry over; nothing is changed */
  readonly planConversion: {
    readonly input: {
      readonly platform: string
      /** p2v: the host of this platform becomes a virtual machine of the other one. v2v: a virtual machine gets other devices there. v2p: it becomes the host there */
      readonly way: "p2v" | "v2v" | "v2p"
      /** What is converted (v2v, v2p) */
      readonly vm?: string
      /** The other platform */
      readonly to: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name?: string
      readonly vcpus?: number
      readonly memoryMiB?: number
      /** Models in order of preference; default keepDriver, paravirtual, emulated */
      readonly network?: readonly ("keepDriver" | "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct")[]
      /** Likewise; default keepDriver, paravirtual, emulation */
      readonly disks?: readonly ("keepDriver" | "emulation" | "paravirtual" | "queuePair" | "virtualFunction" | "direct")[]
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly switch?: string
      /** By address: what is different for one interface */
      readonly interfaces?: Readonly<Record<string, {
        readonly model?: "keepDriver" | "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct"
        /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
        readonly switch?: string
        /** a function address like "0000:03:10.1" */
        readonly function?: string
      }>>
      /** The namespace that takes the disk. What is on it is overwritten */
      readonly disk?: {
        /** a function address like "0000:03:10.1" */
        readonly function: string
        readonly namespace?: number
      }
    }
    readonly output: Conversion
  }
  /** Makes a virtual machine of a host, another one of a virtual machine, or a host of it, and reports what was kept */
  readonly convert: {
    readonly input: {
      readonly platform: string
      /** p2v: the host of this platform becomes a virtual machine of the other one. v2v: a virtual machine gets other devices there. v2p: it becomes the host there */
      readonly way: "p2v" | "v2v" | "v2p"
      /** What is converted (v2v, v2p) */
      readonly vm?: string
      /** The other platform */
      readonly to: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name?: string
      readonly vcpus?: number
      readonly memoryMiB?: number
      /** Models in order of preference; default keepDriver, paravirtual, emulated */
      readonly network?: readonly ("keepDriver" | "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct")[]
      /** Likewise; default keepDriver, paravirtual, emulation */
      readonly disks?: readonly ("keepDriver" | "emulation" | "paravirtual" | "queuePair" | "virtualFunction" | "direct")[]
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly switch?: string
      /** By address: what is different for one interface */
      readonly interfaces?: Readonly<Record<string, {
        readonly model?: "keepDriver" | "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct"
        /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
        readonly switch?: string
        /** a function address like "0000:03:10.1" */
        readonly function?: string
      }>>
      /** The namespace that takes the disk. What is on it is overwritten */
      readonly disk?: {
        /** a function address like "0000:03:10.1" */
        readonly function: string
        readonly namespace?: number
      }
    }
    readonly output: Conversion
  }
  /** Shows the remapping unit of a guest: registers, faults, and what the host maps for it */
  readonly viommu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: GuestRemappingUnit
  }
  /** Has the kernel of a guest use its remapping unit, or let it be */
  readonly setViommu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly enabled: boolean
    }
    readonly output: GuestRemappingUse
  }
  /** Has the kernel of a guest map guest memory for a function behind its remapping unit */
  readonly mapViommu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly function: string
      /** hexadecimal text like "0x1000" */
      readonly address: string
      /** false: the guest’s driver forgets to tell its unit, a mistake that guest kernels make */
      readonly told?: boolean
      /** hexadecimal text like "0x1000" */
      readonly guestAddress: string
      readonly pages?: number
      readonly access?: "read" | "write" | "readWrite"
    }
    readonly output: GuestMapping
  }
  /** Has the kernel of a guest take back what it mapped for a function behind its remapping unit */
  readonly unmapViommu: {
    readonly input: {
      /** false: the guest’s driver forgets to tell its unit, a mistake that guest kernels make */
      readonly told?: boolean
      readonly pages?: number
      readonly platform: string
      readonly vm: string
      readonly function: string
      /** hexadecimal text like "0x1000" */
      readonly address: string
    }
    readonly output: GuestMapping
  }
  /** Shows what stands behind the memory of a virtual machine */
  readonly vmMemory: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: VmMemory
  }
  /** Sets shares, reservation and limit of host memory of a virtual machine */
  readonly setVmMemory: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** Weight when there is too little memory; default 10 for each MiB */
      readonly shares?: number
      readonly reservationMiB?: number
      readonly limitMiB?: number
    }
    readonly output: VmMemory
  }
  /** Asks the guest of a virtual machine for a part of its memory */
  readonly setBalloon: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly mebibytes: number
    }
    readonly output: VmMemory
  }
  /** Swaps out memory that a virtual machine did not use lately */
  readonly swapOut: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly mebibytes: number
    }
    readonly output: VmMemory
  }
  /** Puts small pages of a virtual machine together into pages of 2 MiB */
  readonly collapseMemory: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: VmMemory
  }
  /** Has the guest of a virtual machine use memory: a program writes, or reads, a word of each page */
  readonly useMemory: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly mebibytes: number
      readonly firstMiB?: number
      /** The program ends: a balloon may have its memory, as that of a file cache */
      readonly release?: boolean
      readonly contents?: "read" | "own" | "common"
    }
    readonly output: MemoryUsed
  }
  /** Shows how virtual machines share the memory of the host */
  readonly hostMemory: {
    readonly input: {
      readonly platform: string
    }
    readonly output: HostMemory
  }
  /** Says whose pages may be shared with whose */
  readonly setSharing: {
    readonly input: {
      readonly platform: string
      /** Nobody’s, pages within one virtual machine, or all on the host */
      readonly scope: "none" | "vm" | "host"
    }
    readonly output: {
      readonly sharing: "none" | "vm" | "host"
    }
  }
  /** Looks for pages with the same contents and keeps them once */
  readonly sharePages: {
    readonly input: {
      readonly platform: string
      /** Takes pages of 2 MiB apart for it */
      readonly large?: boolean
    }
    readonly output: SharingReport
  }
  /** Takes memory back where it is missed least, or gives it back, by shares and use */
  readonly balanceMemory: {
    readonly input: {
      readonly platform: string
    }
    readonly output: MemoryBalance
  }
  /** Shows the part of the processors that a virtual machine may have, and what it has had */
  readonly vmCpu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: VmCpu
  }
  /** Sets shares, reservation, limit and load of the virtual processors of a virtual machine */
  readonly setVmCpu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      /** Weight when processors are short; default 1000 for each virtual processor */
      readonly shares?: number
      /** Percent of one processor that it gets whatever happens: 150 are one and a half */
      readonly reservationPercent?: number
      /** Percent of one processor that it gets at most */
      readonly limitPercent?: number
      /** How much of the time each virtual processor has something to compute */
      readonly loadPercent?: number
    }
    readonly output: VmCpu
  }
  /** Shows how virtual machines share the processors of the host */
  readonly hostCpu: {
    readonly input: {
      readonly platform: string
    }
    readonly output: HostCpu
  }
  /** Lets time pass while virtual machines compute, their turns shared out slice by slice */
  readonly runCpu: {
    readonly input: {
      readonly platform: string
      readonly nanoseconds: number
      /** Nanoseconds of a turn; default 10000000 */
      readonly sliceNs?: number
    }
    readonly output: CpuRun
  }
  /** Makes virtual machines of many hosts on one, has them work, and reports what each got */
  readonly consolidate: {
    readonly input: {
      readonly platform: string
      readonly hosts: readonly SourceHost[]
      /** Virtual time for which they compute */
      readonly nanoseconds: number
      readonly sliceNs?: number
    }
    readonly output: Consolidation
  }
  /** Shows a virtual processor: pending and in-service vectors, exits by reason */
  readonly vcpu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
    }
    readonly output: Vcpu
  }
  /** Executes a stream of operations on a virtual processor and shows the exits taken */
  readonly runVcpu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
      readonly operations: readonly GuestOperation[]
    }
    readonly output: VcpuRun
  }
  /** Reads a virtual processor's VMCS, every field by name or one */
  readonly vmcs: {
    readonly input: {
      /** the name of a VMCS field */
      readonly field?: string
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
    }
    readonly output: Vmcs
  }
  /** Writes a guest-state field of a virtual processor's VMCS; a value that VM entry would refuse is refused */
  readonly writeVmcs: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
      /** the name of a VMCS field */
      readonly field: string
      /** hexadecimal text like "0x1000" */
      readonly value: string
    }
    readonly output: VmcsWrite
  }
  /** Executes operations on a lone processor in VMX root operation with a ready 64-bit guest, exit by exit */
  readonly runProcessor: {
    readonly input: {
      readonly operations: readonly ProcessorOperation[]
      readonly fields?: Readonly<Record<string, string>>
      readonly memory?: readonly {
        /** hexadecimal text like "0x1000" */
        readonly address: string
        readonly words: readonly string[]
      }[]
      /** Events of the guest go through its IDT in memory; else they are the program's */
      readonly throughIdt?: boolean
    }
    readonly output: ProcessorRun
  }
  /** Shows the local APIC of a virtual processor by name */
  readonly virtualApic: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
    }
    readonly output: VirtualApic
  }
  /** Raises a vector in the local APIC of a virtual processor, as a device of the hypervisor would */
  readonly interruptVcpu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
      readonly vector: number
    }
    readonly output: VcpuInterrupt
  }
  /** Pins a virtual processor to another logical processor; posted interrupts follow it */
  readonly moveVcpu: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly vcpu: number
      readonly processor: number
    }
    readonly output: VcpuPlacement
  }
  /** Shows the local APIC of a logical processor by name */
  readonly localApic: {
    readonly input: {
      readonly platform: string
      readonly processor: number
    }
    readonly output: LocalApic
  }
  /** Has a function signal a vector and shows every step to the handler of the guest, which runs meanwhile, sleeps, or is preempted */
  readonly traceInterrupt: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly vector: number
      readonly guest?: "running" | "blocked" | "preempted"
    }
    readonly output: InterruptJourney
  }
  /** Lists the network ports of a platform */
  readonly nics: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly NetworkAdapter[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Shows a network port: rings, queues, pools, filters, counters and drops by cause */
  readonly nic: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: NetworkAdapterDetail
  }
  /** Has the host’s driver bring a network adapter up */
  readonly openNic: {
    readonly input: {
      readonly platform: string
      readonly function: string
      /** descriptors of each ring, 8 to 1024, a multiple of 8 */
      readonly ringEntries?: number
      /** microseconds between two interrupts of a queue */
      readonly interruptInterval?: number
    }
    readonly output: {
      readonly function: string
      readonly driver: string
      /** a MAC address like "02:00:00:00:00:01" */
      readonly mac: string
    }
  }
  /** Sets what a virtual function may do on the network, as "ip link set … vf" does */
  readonly setVf: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly vf: number
      /** a MAC address like "02:00:00:00:00:01" */
      readonly mac?: string
      /** the port VLAN, 0 for none */
      readonly vlan?: number
      readonly spoofCheck?: boolean
      readonly trusted?: boolean
      /** Mb/s, 0 for no limit */
      readonly maximumRate?: number
    }
    readonly output: {
      readonly function: string
      readonly vf: number
    }
  }
  /** Pulls the cable out of a network port, or plugs it in again */
  readonly setCable: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly cable: "plugged" | "pulled"
    }
    readonly output: {
      readonly function: string
      readonly carrier: boolean
    }
  }
  /** Has an adapter switch for its virtual functions itself, or the host do so, as "devlink dev eswitch" does */
  readonly setEswitch: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly mode: "legacy" | "switchdev"
    }
    readonly output: {
      readonly function: string
      readonly mode: "legacy" | "switchdev"
      readonly represented: number
    }
  }
  /** Lets the line of a network port take its time, frame by frame, or carry any number of frames at once */
  readonly setLine: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly line: "timed" | "instant"
    }
    readonly output: {
      readonly function: string
      readonly line: "timed" | "instant"
      readonly speedMbps: number
    }
  }
  /** Offers generated traffic at a port and from virtual machines, and counts what became of it */
  readonly offerTraffic: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly pattern: "fixed" | "imix" | "bursts" | "incast" | "requestResponse"
      /** MAC addresses: the first sends to the others in turn (incast: they to it; requestResponse: it asks them); addresses of virtual machines’ devices send from there, all others from outside */
      readonly stations: readonly string[]
      readonly frames?: number
      /** bytes with frame check sequence */
      readonly length?: number
      readonly burst?: number
      /** bytes of payload */
      readonly request?: number
      /** bytes of payload */
      readonly response?: number
      /** share of the line */
      readonly load?: number
      /** a VLAN from 1 to 4094 */
      readonly vlan?: number
      readonly seed?: number
    }
    readonly output: TrafficReport
  }
  /** Begins to keep the frames that pass a wire, or ends it */
  readonly captureFrames: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly capture: "on" | "off"
    }
    readonly output: {
      readonly function: string
      readonly capture: "on" | "off"
      readonly frames: number
    }
  }
  /** Returns what passed a wire as a capture file (pcap) that Wireshark and tshark read */
  readonly capturedFrames: {
    readonly input: {
      readonly platform: string
      readonly function: string
    }
    readonly output: {
      readonly frames: number
      /** Frames for which there was no room */
      readonly lost: number
      /** The file, as hexadecimal digits */
      readonly pcap: string
    }
  }
  /** Puts the frames of a capture file (pcap) on the wire of a port, one after the other */
  readonly replayFrames: {
    readonly input: {
      readonly platform: string
      readonly function: string
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly pcap: string
    }
    readonly output: {
      readonly frames: number
      readonly sent: number
      /** Packets that the capture did not keep whole: not sent */
      readonly cut: number
    }
  }
  /** Lists the virtual switches of a platform */
  readonly switches: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly VirtualSwitch[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Makes a virtual switch; adapters that are given become its uplinks, as one team */
  readonly createSwitch: {
    readonly input: {
      readonly platform: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      readonly uplinks?: readonly string[]
      readonly mode?: "activeBackup" | "balance" | "lacp"
      readonly hash?: "portId" | "sourceMac" | "layer2" | "layer2+3" | "layer3+4"
      /** whether an earlier uplink takes over again */
      readonly failback?: boolean
      readonly lacp?: Lacp
      /** a VLAN from 1 to 4094 */
      readonly native?: number
    }
    readonly output: VirtualSwitch
  }
  /** Shows a virtual switch: ports with counters and drops, learned addresses, its team of uplinks */
  readonly switch: {
    readonly input: {
      readonly platform: string
      readonly switch: string
    }
    readonly output: VirtualSwitch
  }
  /** Deletes a virtual switch that no virtual machine is connected to */
  readonly deleteSwitch: {
    readonly input: {
      readonly platform: string
      readonly switch: string
    }
    readonly output: undefined
  }
  /** Lists the switches outside of a platform that its cables go to */
  readonly outsideSwitches: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly OutsideSwitch[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Puts a switch at the outside ends of cables; aggregation makes one link of them */
  readonly createOutsideSwitch: {
    readonly input: {
      readonly platform: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly name: string
      /** whose cables go there */
      readonly functions: readonly string[]
      readonly aggregation?: "none" | "static" | "lacp"
      readonly hash?: "portId" | "sourceMac" | "layer2" | "layer2+3" | "layer3+4"
      readonly lacp?: Lacp
    }
    readonly output: OutsideSwitch
  }
  /** Shows a switch outside: where it has learned addresses, its links, and what LACP agreed on */
  readonly outsideSwitch: {
    readonly input: {
      readonly platform: string
      readonly switch: string
    }
    readonly output: OutsideSwitch
  }
  /** Takes a switch outside away; the cables stay */
  readonly deleteOutsideSwitch: {
    readonly input: {
      readonly platform: string
      readonly switch: string
    }
    readonly output: undefined
  }
  /** Has a port of a virtual switch hear what passes other ports, and nothing else */
  readonly mirrorPort: {
    readonly input: {
      readonly platform: string
      readonly switch: string
      readonly ports: readonly string[]
      readonly direction: "in" | "out" | "both"
      /** the port that listens */
      readonly port: string
    }
    readonly output: VirtualSwitch
  }
  /** Sets the rules of a representor’s port; those that are not given are VLAN 1 and no limit */
  readonly setRepresentor: {
    readonly input: {
      readonly platform: string
      readonly switch: string
      readonly port: string
      /** a VLAN from 1 to 4094 */
      readonly vlan?: number
      readonly limit?: RateLimit
      /** of an uplink that is busy; default 50 */
      readonly share?: number
    }
    readonly output: VirtualSwitch
  }
  /** Lists the network devices of a virtual machine */
  readonly networkDevices: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly vm: string
    }
    readonly output: {
      readonly items: readonly NetworkDevice[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Gives a virtual machine a network device by one of five I/O models; its guest brings it up */
  readonly addNetworkDevice: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly model: "emulated" | "paravirtual" | "vmdq" | "sriov" | "direct"
      /** a MAC address like "02:00:00:00:00:01" */
      readonly mac: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly switch?: string
      /** a function address like "0000:03:10.1" */
      readonly function?: string
      /** a VLAN from 1 to 4094 */
      readonly vlan?: number
      readonly limit?: RateLimit
      /** of an uplink that is busy; default 50 */
      readonly share?: number
      /** A paravirtual device that stands in for a function with the same address, e.g. while the machine moves */
      readonly standby?: boolean
      /** descriptors of each ring of the guest */
      readonly ringEntries?: number
    }
    readonly output: NetworkDevice
  }
  /** Takes a network device away from a virtual machine */
  readonly removeNetworkDevice: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly slot: number
    }
    readonly output: undefined
  }
  /** Sends one frame, from a wire or from a guest, and shows its whole journey with all that it cost */
  readonly traceFrame: {
    readonly input: {
      readonly platform: string
      /** a function address like "0000:03:10.1" */
      readonly function?: string
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly vm?: string
      readonly slot?: number
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly outside?: string
      /** a MAC address like "02:00:00:00:00:01" */
      readonly to?: string
      /** a MAC address like "02:00:00:00:00:01" */
      readonly sender?: string
      /** bytes without frame check sequence */
      readonly length?: number
      readonly vlan?: number
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly data?: string
    }
    readonly output: FrameTrace
  }
  /** Gives a virtual machine a disk under a model of input and output and has the guest’s driver start it */
  readonly openDisk: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly model: "emulation" | "paravirtual" | "queuePair" | "virtualFunction" | "direct"
      /** a function address like "0000:03:10.1" */
      readonly function?: string
      readonly namespace?: number
    }
    readonly output: Disk
  }
  /** Shows the disk of a virtual machine */
  readonly disk: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: Disk
  }
  /** Takes the disk of a virtual machine away; what is on a namespace stays there */
  readonly closeDisk: {
    readonly input: {
      readonly platform: string
      readonly vm: string
    }
    readonly output: undefined
  }
  /** Has a guest read sectors of its disk; says what it took */
  readonly readBlocks: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly sector: number
      readonly count: number
    }
    readonly output: BlockTransfer
  }
  /** Has a guest write whole sectors of its disk; says what it took */
  readonly writeBlocks: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly sector: number
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly data: string
    }
    readonly output: BlockTransfer
  }
  /** Has a guest keep its disk busy, with several commands under way together; says what it took */
  readonly runBlockWorkload: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly pattern?: "sequential" | "random"
      readonly sectors?: number
      readonly depth?: number
      readonly commands?: number
      readonly readPercent?: number
      readonly firstSector?: number
      readonly span?: number
      readonly seed?: number
    }
    readonly output: BlockWorkloadResult
  }
  /** Lists the NVMe controllers of a function’s chip with their queues, once something has used it */
  readonly nvmeControllers: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly function: string
    }
    readonly output: {
      readonly items: readonly NvmeController[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Lists the namespaces of a function’s chip, once something has used it */
  readonly nvmeNamespaces: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
      readonly function: string
    }
    readonly output: {
      readonly items: readonly NvmeNamespace[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Has the host’s driver make a namespace of what is left of the medium; nobody is attached to it */
  readonly createNamespace: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly blocks: number
      readonly blockSize?: 512 | 4096
      /** One controller may be attached at a time */
      readonly private?: boolean
    }
    readonly output: NvmeNamespace
  }
  /** Has the host’s driver delete a namespace; what was on it is lost */
  readonly deleteNamespace: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly namespace: number
    }
    readonly output: undefined
  }
  /** Has the host’s driver attach a namespace to the controller of a function */
  readonly attachNamespace: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly namespace: number
      /** a function address like "0000:03:10.1" */
      readonly to: string
    }
    readonly output: NvmeNamespace
  }
  /** Has the host’s driver detach a namespace from the controller of a function */
  readonly detachNamespace: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly namespace: number
      /** a function address like "0000:03:10.1" */
      readonly to: string
    }
    readonly output: NvmeNamespace
  }
  /** Puts a file in the place of a namespace’s medium: what is in the file is on the disk, and stays there */
  readonly putNamespaceOnFile: {
    readonly input: {
      readonly platform: string
      readonly function: string
      readonly namespace: number
      /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
      readonly file: string
    }
    readonly output: NvmeNamespace
  }
  /** Has a guest read or write blocks of its disk, and shows their whole journey with all that it cost */
  readonly traceBlock: {
    readonly input: {
      readonly platform: string
      readonly vm: string
      readonly sector: number
      readonly count?: number
      /** bytes as an even number of hexadecimal digits, lowest address first */
      readonly data?: string
    }
    readonly output: BlockTrace
  }
  /** Lists the operation streams that techniques can be compared on */
  readonly workloads: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly WorkloadSummary[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Runs a workload under every virtualization technique and compares what it took */
  readonly compareTechniques: {
    readonly input: {
      readonly costs?: string
      readonly workload: string
    }
    readonly output: TechniqueComparison
  }
  /** Lists the experiments of this server */
  readonly experiments: {
    readonly input: {
      readonly limit?: number
      readonly cursor?: string
    }
    readonly output: {
      readonly items: readonly Experiment[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Begins to simulate a sweep; its progress may be followed as server-sent events */
  readonly createExperiment: {
    readonly input: {
      readonly body: ExperimentDocument
    }
    readonly output: Experiment
  }
  /** Shows how far an experiment is */
  readonly experiment: {
    readonly input: {
      readonly experiment: string
    }
    readonly output: Experiment
  }
  /** Forgets an experiment; ends it first, if it runs */
  readonly deleteExperiment: {
    readonly input: {
      readonly experiment: string
    }
    readonly output: undefined
  }
  /** Shows the progress of an experiment; over HTTP as server-sent events unless JSON is asked for */
  readonly experimentEvents: {
    readonly input: {
      readonly after?: number
      readonly limit?: number
      readonly cursor?: string
      readonly experiment: string
    }
    readonly output: {
      readonly items: readonly Event[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
  /** Gives the result of an experiment that has ended */
  readonly experimentResult: {
    readonly input: {
      readonly experiment: string
    }
    readonly output: ExperimentResult
  }
  /** Gives the result of an experiment as a page with charts that stands alone */
  readonly experimentReport: {
    readonly input: {
      readonly experiment: string
    }
    readonly output: string
  }
  /** Gives the result of an experiment as CSV, a row a point */
  readonly experimentCsv: {
    readonly input: {
      readonly experiment: string
    }
    readonly output: string
  }
  /** Compares the results of two experiments point by point, and says what the differences are made of */
  readonly compareExperiments: {
    readonly input: {
      readonly a: {
        readonly experiment: string
        /** Values of axes that the side is narrowed to */
        readonly where?: Readonly<Record<string, string>>
      }
      readonly b: {
        readonly experiment: string
        /** Values of axes that the side is narrowed to */
        readonly where?: Readonly<Record<string, string>>
      }
    }
    readonly output: ExperimentComparison
  }
  /** Ends an experiment before all is simulated */
  readonly cancelExperiment: {
    readonly input: {
      readonly experiment: string
    }
    readonly output: Experiment
  }
  /** Plans which functions of which platforms machines would get, and says why others would not do */
  readonly planPolicy: {
    readonly input: {
      readonly platforms: readonly string[]
      readonly policy: PolicyInput
      readonly requests: readonly AssignmentRequest[]
      readonly order?: "pack" | "spread"
      /** Whose the machines are that run already; one that is not listed is a tenant of its own */
      readonly tenants?: Readonly<Record<string, string>>
    }
    readonly output: AssignmentPlan
  }
  /** Gives machines the functions that a policy chooses, all of them or, if anything is refused, none */
  readonly applyPolicy: {
    readonly input: {
      readonly platforms: readonly string[]
      readonly policy: PolicyInput
      readonly requests: readonly AssignmentRequest[]
      readonly order?: "pack" | "spread"
      /** Whose the machines are that run already; one that is not listed is a tenant of its own */
      readonly tenants?: Readonly<Record<string, string>>
      /** Machines that are not there are created like this; without, they must be there */
      readonly create?: {
        readonly vcpus: number
        readonly memoryMiB: number
      }
    }
    readonly output: {
      readonly system: string
      readonly placed: readonly PlannedMachine[]
    }
  }
  /** Explains what a policy decides for one machine on one platform, function by function */
  readonly explainPolicy: {
    readonly input: {
      readonly platform: string
      readonly policy: PolicyInput
      readonly request: AssignmentRequest
      /** Whose the machines are that run already; one that is not listed is a tenant of its own */
      readonly tenants?: Readonly<Record<string, string>>
    }
    readonly output: PolicyExplanation
  }
  /** Asks several systems for the same machine on the same platform, side by side */
  readonly comparePolicies: {
    readonly input: {
      readonly platform: string
      readonly machine: {
        /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
        readonly vm: string
        /** Of the host, on which the machine lies */
        readonly numaNodes?: readonly number[]
        /** a name of 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit */
        readonly tenant?: string
        readonly numaPolicy?: string
      }
      readonly policies: readonly {
        readonly system: "northbridge" | "nova" | "sriov-network-device-plugin" | "sriov-network-operator" | "kubernetes-topology-manager" | "kubernetes-dra" | "libvirt" | "kubevirt" | "proxmox-qemu-server" | "ovirt" | "xapi" | "linux-vfio"
        /** Configuration files as the system has them */
        readonly files: readonly {
          readonly name: string
          readonly text: string
        }[]
        readonly needs: readonly {
          /** What the system calls it: an alias, a resource, a claim, a network, a mapping, an address */
          readonly resource: string
          readonly count: number
        }[]
      }[]
      /** Whose the machines are that run already; one that is not listed is a tenant of its own */
      readonly tenants?: Readonly<Record<string, string>>
    }
    readonly output: {
      readonly outcomes: readonly {
        readonly system: string
        readonly granted: boolean
        readonly devices: readonly string[]
        readonly refusal: PolicyRefusal | null
        readonly kernelRefuses: readonly PolicyRefusal[]
      }[]
    }
  }
  /** Reports which machines would get other functions if buses were renumbered or cards swapped slots */
  readonly driftPolicy: {
    readonly input: {
      readonly platform: string
      readonly policy: PolicyInput
      readonly requests: readonly AssignmentRequest[]
      /** Whose the machines are that run already; one that is not listed is a tenant of its own */
      readonly tenants?: Readonly<Record<string, string>>
    }
    readonly output: {
      readonly system: string
      readonly drifts: readonly {
        readonly perturbation: string
        readonly vm: string
        readonly before: readonly string[] | null
        readonly after: readonly string[] | null
        readonly reason?: string
      }[]
    }
  }
  /** Shows the events that are still kept, newer than `after`; over HTTP as server-sent events unless JSON is asked for */
  readonly events: {
    readonly input: {
      readonly after?: number
      readonly limit?: number
      readonly cursor?: string
      readonly platform: string
    }
    readonly output: {
      readonly items: readonly Event[]
      /** Cursor of the next page; absent on the last */
      readonly next?: string
    }
  }
}

export const ROUTES = {
  health: { method: 'GET', path: '/healthz', query: [], body: 'none' },
  readiness: { method: 'GET', path: '/readyz', query: [], body: 'none' },
  topologies: { method: 'GET', path: '/v1/topologies', query: ['limit', 'cursor'], body: 'none' },
  createTopology: { method: 'POST', path: '/v1/topologies', query: [], body: 'whole' },
  validateTopology: { method: 'POST', path: '/v1/topologies/validate', query: [], body: 'whole' },
  topology: { method: 'GET', path: '/v1/topologies/{name}', query: [], body: 'none' },
  replaceTopology: { method: 'PUT', path: '/v1/topologies/{name}', query: [], body: 'whole' },
  deleteTopology: { method: 'DELETE', path: '/v1/topologies/{name}', query: [], body: 'none' },
  importTopology: { method: 'POST', path: '/v1/topologies/imports', query: [], body: 'fields' },
  devices: { method: 'GET', path: '/v1/devices', query: ['limit', 'cursor'], body: 'none' },
  device: { method: 'GET', path: '/v1/devices/{name}', query: [], body: 'none' },
  platforms: { method: 'GET', path: '/v1/platforms', query: ['limit', 'cursor'], body: 'none' },
  createPlatform: { method: 'POST', path: '/v1/platforms', query: [], body: 'fields' },
  platformState: { method: 'GET', path: '/v1/platforms/{platform}', query: [], body: 'none' },
  deletePlatform: { method: 'DELETE', path: '/v1/platforms/{platform}', query: [], body: 'none' },
  power: { method: 'POST', path: '/v1/platforms/{platform}/power', query: [], body: 'fields' },
  exportPlatform: { method: 'GET', path: '/v1/platforms/{platform}/exports/{format}', query: [], body: 'none' },
  archivePlatform: { method: 'GET', path: '/v1/platforms/{platform}/archive', query: [], body: 'none' },
  importPlatform: { method: 'POST', path: '/v1/platforms/imports', query: [], body: 'fields' },
  commands: { method: 'GET', path: '/v1/platforms/{platform}/commands', query: ['after', 'limit', 'cursor'], body: 'none' },
  rewindPlatform: { method: 'POST', path: '/v1/platforms/{platform}/rewind', query: [], body: 'fields' },
  forkPlatform: { method: 'POST', path: '/v1/platforms/{platform}/fork', query: [], body: 'fields' },
  functions: { method: 'GET', path: '/v1/platforms/{platform}/functions', query: ['limit', 'cursor'], body: 'none' },
  function: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}', query: [], body: 'none' },
  readConfig: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}/config', query: ['offset', 'length'], body: 'none' },
  setNumVfs: { method: 'PUT', path: '/v1/platforms/{platform}/functions/{function}/sriov', query: [], body: 'fields' },
  resetFunction: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/reset', query: [], body: 'none' },
  setResetMethods: { method: 'PUT', path: '/v1/platforms/{platform}/functions/{function}/reset-methods', query: [], body: 'fields' },
  dma: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/dma', query: [], body: 'fields' },
  interrupt: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/interrupt', query: [], body: 'fields' },
  route: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/route', query: [], body: 'fields' },
  errorLog: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}/errors', query: [], body: 'none' },
  injectError: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/errors', query: [], body: 'fields' },
  injectFault: { method: 'POST', path: '/v1/platforms/{platform}/fault-injections', query: [], body: 'fields' },
  injectedFaults: { method: 'GET', path: '/v1/platforms/{platform}/fault-injections', query: ['limit', 'cursor'], body: 'none' },
  clearFaults: { method: 'DELETE', path: '/v1/platforms/{platform}/fault-injections', query: [], body: 'none' },
  faultPlan: { method: 'POST', path: '/v1/platforms/{platform}/fault-plans', query: [], body: 'fields' },
  passTime: { method: 'POST', path: '/v1/platforms/{platform}/time', query: [], body: 'fields' },
  interruptCounts: { method: 'GET', path: '/v1/platforms/{platform}/interrupts', query: ['limit', 'cursor'], body: 'none' },
  links: { method: 'GET', path: '/v1/platforms/{platform}/links', query: ['limit', 'cursor'], body: 'none' },
  setLink: { method: 'PUT', path: '/v1/platforms/{platform}/functions/{function}/link', query: [], body: 'fields' },
  insertCard: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/slot/insert', query: [], body: 'fields' },
  pullCard: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/slot/pull', query: [], body: 'none' },
  pressButton: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/slot/button', query: [], body: 'none' },
  buffers: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}/buffers', query: ['limit', 'cursor'], body: 'none' },
  allocateBuffer: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/buffers', query: [], body: 'fields' },
  freeBuffer: { method: 'DELETE', path: '/v1/platforms/{platform}/functions/{function}/buffers/{address}', query: [], body: 'none' },
  flushBuffers: { method: 'DELETE', path: '/v1/platforms/{platform}/deferred-unmaps', query: [], body: 'none' },
  groups: { method: 'GET', path: '/v1/platforms/{platform}/iommu-groups', query: ['limit', 'cursor'], body: 'none' },
  group: { method: 'GET', path: '/v1/platforms/{platform}/iommu-groups/{group}', query: [], body: 'none' },
  isolationReport: { method: 'GET', path: '/v1/platforms/{platform}/isolation', query: [], body: 'none' },
  isolationDiff: { method: 'POST', path: '/v1/platforms/{platform}/isolation/diff', query: [], body: 'fields' },
  repairIsolation: { method: 'POST', path: '/v1/platforms/{platform}/isolation/repairs', query: [], body: 'fields' },
  sanitizer: { method: 'PUT', path: '/v1/platforms/{platform}/sanitizer', query: [], body: 'fields' },
  findings: { method: 'GET', path: '/v1/platforms/{platform}/sanitizer/findings', query: ['limit', 'cursor'], body: 'none' },
  units: { method: 'GET', path: '/v1/platforms/{platform}/remapping-units', query: ['limit', 'cursor'], body: 'none' },
  registers: { method: 'GET', path: '/v1/platforms/{platform}/remapping-units/{unit}/registers', query: ['limit', 'cursor'], body: 'none' },
  faults: { method: 'GET', path: '/v1/platforms/{platform}/remapping-units/{unit}/faults', query: ['limit', 'cursor'], body: 'none' },
  explain: { method: 'POST', path: '/v1/platforms/{platform}/remapping-units/{unit}/explain', query: [], body: 'fields' },
  caches: { method: 'GET', path: '/v1/platforms/{platform}/remapping-units/{unit}/caches', query: ['limit', 'cursor'], body: 'none' },
  tables: { method: 'GET', path: '/v1/platforms/{platform}/remapping-units/{unit}/tables', query: ['source', 'pasid', 'address', 'limit', 'cursor'], body: 'none' },
  vms: { method: 'GET', path: '/v1/platforms/{platform}/vms', query: ['limit', 'cursor'], body: 'none' },
  createVm: { method: 'POST', path: '/v1/platforms/{platform}/vms', query: [], body: 'fields' },
  vm: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}', query: [], body: 'none' },
  deleteVm: { method: 'DELETE', path: '/v1/platforms/{platform}/vms/{vm}', query: [], body: 'none' },
  attach: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/devices', query: [], body: 'fields' },
  detach: { method: 'DELETE', path: '/v1/platforms/{platform}/vms/{vm}/devices/{function}', query: [], body: 'none' },
  requestRemoval: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/devices/{function}/removal', query: [], body: 'fields' },
  holdDevice: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/devices/{function}/hold', query: [], body: 'fields' },
  resetDevice: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/devices/{function}/reset', query: [], body: 'none' },
  hotResetMembers: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/devices/{function}/hot-reset', query: ['limit', 'cursor'], body: 'none' },
  containers: { method: 'GET', path: '/v1/platforms/{platform}/containers', query: ['limit', 'cursor'], body: 'none' },
  resources: { method: 'GET', path: '/v1/platforms/{platform}/resources', query: [], body: 'none' },
  protectVm: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/protection', query: [], body: 'fields' },
  unprotectVm: { method: 'DELETE', path: '/v1/platforms/{platform}/vms/{vm}/protection', query: [], body: 'none' },
  protections: { method: 'GET', path: '/v1/protections', query: ['limit', 'cursor'], body: 'none' },
  failOver: { method: 'POST', path: '/v1/platforms/{platform}/failover', query: [], body: 'fields' },
  readMemory: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/memory', query: ['address', 'length'], body: 'none' },
  writeMemory: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/memory', query: [], body: 'fields' },
  pauseVm: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/pause', query: [], body: 'none' },
  resumeVm: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/resume', query: [], body: 'none' },
  snapshots: { method: 'GET', path: '/v1/snapshots', query: ['limit', 'cursor'], body: 'none' },
  importSnapshot: { method: 'POST', path: '/v1/snapshots', query: [], body: 'fields' },
  snapshot: { method: 'GET', path: '/v1/snapshots/{snapshot}', query: [], body: 'none' },
  deleteSnapshot: { method: 'DELETE', path: '/v1/snapshots/{snapshot}', query: [], body: 'none' },
  takeSnapshot: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/snapshots', query: [], body: 'fields' },
  rewindVm: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/rewind', query: [], body: 'fields' },
  placeSnapshot: { method: 'POST', path: '/v1/snapshots/{snapshot}/place', query: [], body: 'fields' },
  cloneVm: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/clone', query: [], body: 'fields' },
  exportSnapshot: { method: 'GET', path: '/v1/snapshots/{snapshot}/document', query: [], body: 'none' },
  migrateVm: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/migrate', query: [], body: 'fields' },
  planConversion: { method: 'POST', path: '/v1/platforms/{platform}/conversions/plan', query: [], body: 'fields' },
  convert: { method: 'POST', path: '/v1/platforms/{platform}/conversions', query: [], body: 'fields' },
  viommu: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/viommu', query: [], body: 'none' },
  setViommu: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/viommu/translation', query: [], body: 'fields' },
  mapViommu: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/viommu/mappings', query: [], body: 'fields' },
  unmapViommu: { method: 'DELETE', path: '/v1/platforms/{platform}/vms/{vm}/viommu/mappings/{function}/{address}', query: ['told', 'pages'], body: 'none' },
  vmMemory: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/host-memory', query: [], body: 'none' },
  setVmMemory: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/host-memory', query: [], body: 'fields' },
  setBalloon: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/host-memory/balloon', query: [], body: 'fields' },
  swapOut: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/host-memory/swap-out', query: [], body: 'fields' },
  collapseMemory: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/host-memory/collapse', query: [], body: 'none' },
  useMemory: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/host-memory/use', query: [], body: 'fields' },
  hostMemory: { method: 'GET', path: '/v1/platforms/{platform}/host-memory', query: [], body: 'none' },
  setSharing: { method: 'PUT', path: '/v1/platforms/{platform}/host-memory/sharing', query: [], body: 'fields' },
  sharePages: { method: 'POST', path: '/v1/platforms/{platform}/host-memory/share', query: [], body: 'fields' },
  balanceMemory: { method: 'POST', path: '/v1/platforms/{platform}/host-memory/balance', query: [], body: 'none' },
  vmCpu: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/cpu', query: [], body: 'none' },
  setVmCpu: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/cpu', query: [], body: 'fields' },
  hostCpu: { method: 'GET', path: '/v1/platforms/{platform}/cpu', query: [], body: 'none' },
  runCpu: { method: 'POST', path: '/v1/platforms/{platform}/cpu/run', query: [], body: 'fields' },
  consolidate: { method: 'POST', path: '/v1/platforms/{platform}/consolidation', query: [], body: 'fields' },
  vcpu: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}', query: [], body: 'none' },
  runVcpu: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/run', query: [], body: 'fields' },
  vmcs: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/vmcs', query: ['field'], body: 'none' },
  writeVmcs: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/vmcs', query: [], body: 'fields' },
  runProcessor: { method: 'POST', path: '/v1/processors/run', query: [], body: 'fields' },
  virtualApic: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/apic', query: [], body: 'none' },
  interruptVcpu: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/interrupt', query: [], body: 'fields' },
  moveVcpu: { method: 'PUT', path: '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/processor', query: [], body: 'fields' },
  localApic: { method: 'GET', path: '/v1/platforms/{platform}/processors/{processor}/apic', query: [], body: 'none' },
  traceInterrupt: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/interrupt/trace', query: [], body: 'fields' },
  nics: { method: 'GET', path: '/v1/platforms/{platform}/nics', query: ['limit', 'cursor'], body: 'none' },
  nic: { method: 'GET', path: '/v1/platforms/{platform}/nics/{function}', query: [], body: 'none' },
  openNic: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/open', query: [], body: 'fields' },
  setVf: { method: 'PUT', path: '/v1/platforms/{platform}/nics/{function}/vfs/{vf}', query: [], body: 'fields' },
  setCable: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/cable', query: [], body: 'fields' },
  setEswitch: { method: 'PUT', path: '/v1/platforms/{platform}/nics/{function}/eswitch', query: [], body: 'fields' },
  setLine: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/line', query: [], body: 'fields' },
  offerTraffic: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/traffic', query: [], body: 'fields' },
  captureFrames: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/capture', query: [], body: 'fields' },
  capturedFrames: { method: 'GET', path: '/v1/platforms/{platform}/nics/{function}/capture', query: [], body: 'none' },
  replayFrames: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/replay', query: [], body: 'fields' },
  switches: { method: 'GET', path: '/v1/platforms/{platform}/switches', query: ['limit', 'cursor'], body: 'none' },
  createSwitch: { method: 'POST', path: '/v1/platforms/{platform}/switches', query: [], body: 'fields' },
  switch: { method: 'GET', path: '/v1/platforms/{platform}/switches/{switch}', query: [], body: 'none' },
  deleteSwitch: { method: 'DELETE', path: '/v1/platforms/{platform}/switches/{switch}', query: [], body: 'none' },
  outsideSwitches: { method: 'GET', path: '/v1/platforms/{platform}/outside-switches', query: ['limit', 'cursor'], body: 'none' },
  createOutsideSwitch: { method: 'POST', path: '/v1/platforms/{platform}/outside-switches', query: [], body: 'fields' },
  outsideSwitch: { method: 'GET', path: '/v1/platforms/{platform}/outside-switches/{switch}', query: [], body: 'none' },
  deleteOutsideSwitch: { method: 'DELETE', path: '/v1/platforms/{platform}/outside-switches/{switch}', query: [], body: 'none' },
  mirrorPort: { method: 'POST', path: '/v1/platforms/{platform}/switches/{switch}/mirrors', query: [], body: 'fields' },
  setRepresentor: { method: 'PUT', path: '/v1/platforms/{platform}/switches/{switch}/representors/{port}', query: [], body: 'fields' },
  networkDevices: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/network-devices', query: ['limit', 'cursor'], body: 'none' },
  addNetworkDevice: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/network-devices', query: [], body: 'fields' },
  removeNetworkDevice: { method: 'DELETE', path: '/v1/platforms/{platform}/vms/{vm}/network-devices/{slot}', query: [], body: 'none' },
  traceFrame: { method: 'POST', path: '/v1/platforms/{platform}/frame-traces', query: [], body: 'fields' },
  openDisk: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk', query: [], body: 'fields' },
  disk: { method: 'GET', path: '/v1/platforms/{platform}/vms/{vm}/disk', query: [], body: 'none' },
  closeDisk: { method: 'DELETE', path: '/v1/platforms/{platform}/vms/{vm}/disk', query: [], body: 'none' },
  readBlocks: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk/read', query: [], body: 'fields' },
  writeBlocks: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk/write', query: [], body: 'fields' },
  runBlockWorkload: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk/workloads', query: [], body: 'fields' },
  nvmeControllers: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}/controllers', query: ['limit', 'cursor'], body: 'none' },
  nvmeNamespaces: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}/namespaces', query: ['limit', 'cursor'], body: 'none' },
  createNamespace: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/namespaces', query: [], body: 'fields' },
  deleteNamespace: { method: 'DELETE', path: '/v1/platforms/{platform}/functions/{function}/namespaces/{namespace}', query: [], body: 'none' },
  attachNamespace: { method: 'PUT', path: '/v1/platforms/{platform}/functions/{function}/namespaces/{namespace}/controllers/{to}', query: [], body: 'none' },
  detachNamespace: { method: 'DELETE', path: '/v1/platforms/{platform}/functions/{function}/namespaces/{namespace}/controllers/{to}', query: [], body: 'none' },
  putNamespaceOnFile: { method: 'PUT', path: '/v1/platforms/{platform}/functions/{function}/namespaces/{namespace}/file', query: [], body: 'fields' },
  traceBlock: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk/traces', query: [], body: 'fields' },
  workloads: { method: 'GET', path: '/v1/workloads', query: ['limit', 'cursor'], body: 'none' },
  compareTechniques: { method: 'GET', path: '/v1/workloads/{workload}/techniques', query: ['costs'], body: 'none' },
  experiments: { method: 'GET', path: '/v1/experiments', query: ['limit', 'cursor'], body: 'none' },
  createExperiment: { method: 'POST', path: '/v1/experiments', query: [], body: 'whole' },
  experiment: { method: 'GET', path: '/v1/experiments/{experiment}', query: [], body: 'none' },
  deleteExperiment: { method: 'DELETE', path: '/v1/experiments/{experiment}', query: [], body: 'none' },
  experimentEvents: { method: 'GET', path: '/v1/experiments/{experiment}/events', query: ['after', 'limit', 'cursor'], body: 'none' },
  experimentResult: { method: 'GET', path: '/v1/experiments/{experiment}/result', query: [], body: 'none' },
  experimentReport: { method: 'GET', path: '/v1/experiments/{experiment}/report', query: [], body: 'none' },
  experimentCsv: { method: 'GET', path: '/v1/experiments/{experiment}/csv', query: [], body: 'none' },
  compareExperiments: { method: 'POST', path: '/v1/experiments/comparisons', query: [], body: 'fields' },
  cancelExperiment: { method: 'POST', path: '/v1/experiments/{experiment}/cancel', query: [], body: 'none' },
  planPolicy: { method: 'POST', path: '/v1/policies/plans', query: [], body: 'fields' },
  applyPolicy: { method: 'POST', path: '/v1/policies/applications', query: [], body: 'fields' },
  explainPolicy: { method: 'POST', path: '/v1/platforms/{platform}/policies/explanations', query: [], body: 'fields' },
  comparePolicies: { method: 'POST', path: '/v1/platforms/{platform}/policies/comparisons', query: [], body: 'fields' },
  driftPolicy: { method: 'POST', path: '/v1/platforms/{platform}/policies/drifts', query: [], body: 'fields' },
  events: { method: 'GET', path: '/v1/platforms/{platform}/events', query: ['after', 'limit', 'cursor'], body: 'none' },
} as const
