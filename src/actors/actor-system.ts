/**
 * What the worker needs of actors: a mailbox each, messages one at a time in order, state that nobody else sees.
 * `nact.ts` is the implementation.
 */

export interface ActorRef<Message> {
  tell(message: Message): void;
  /** What still waits in the mailbox may be lost. */
  stop(): void;
}

/** Takes a message in a state, gives the next state. Must not throw: a throw is a broken invariant. */
export type Behaviour<State, Message> = (state: State, message: Message) => State;

export interface ActorSystem {
  spawn<State extends object, Message>(
    name: string,
    state: State,
    behaviour: Behaviour<State, Message>,
  ): ActorRef<Message>;
  /** Stops every actor; what waits in mailboxes is dropped. */
  stop(): void;
}
