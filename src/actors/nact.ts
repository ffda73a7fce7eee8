/** Actors by nact. The only file that imports it. */
import { dispatch, type Ref, spawn, start, stop } from 'nact';
import type { ActorSystem } from './actor-system.ts';

/**
 * Actors hang directly from the system: before each message nact copies an actor's map of children.
 * `onFault` gets what a behaviour throws; the actor is useless afterwards.
 */
export function createNactSystem(onFault: (error: unknown) => void): ActorSystem {
  const system = start();
  // A stopped actor's name may be taken again before nact has let go of it.
  let serial = 0;

  return {
    spawn<State extends object, Message>(
      name: string,
      state: State,
      behaviour: (state: State, message: Message) => State,
    ) {
      const ref: Ref<Message> = spawn(
        system,
        (current: State, message: Message): State => {
          try {
            return behaviour(current, message);
          } catch (error) {
            onFault(error);
            return current;
          }
        },
        `${name}-${serial++}`,
        { initialState: state },
      );
      return {
        tell: (message: Message) => dispatch(ref, message),
        stop: () => stop(ref),
      };
    },
    stop: () => stop(system),
  };
}
