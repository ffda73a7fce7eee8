/** Logs one line, as a careless part of the system would. */
import { createLogger } from '../../src/logger.ts';

const logger = createLogger('info', false);
logger.error({ error: 'postgres://ann:hidden@db/x: b@example.com is there already' }, 'no project phc_abc');
logger.debug({}, 'not shown');
