/** Faults of the product, planted to show that the simulation finds such a thing. */
export const plantedFaults = {
  'ack before commit': 'an append is answered before it is on the disk',
  'delete before put': 'an upload counts as confirmed before the store has it',
  'position apart': 'the position moves in a transaction of its own, after the one that stages the shipments',
  'reduction apart': 'what reducers remember is durable before the shipments it is of',
  'number used again':
    'the next shipment number is derived from the outbox, so that a confirmed one comes again',
  'ledger apart': 'messages are evicted in one transaction and written into the ledger in the next',
  'ack crosses connections': 'an acknowledgement leaves on whatever connection there is',
  'redeliveries forgotten': 'after a restart nobody knows what the broker may send again',
} as const;

export type PlantedFault = keyof typeof plantedFaults;
