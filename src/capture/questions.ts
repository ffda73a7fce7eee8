/** Answers what SDKs ask for. Whatever is not this project's job is answered with as little as keeps them content. */
import { json } from './answers.ts';
import { config, configScript } from './config-answers.ts';
import type { Answer, Exchange } from './exchange.ts';
import type { FlagsRoute } from './flags-route.ts';
import type { QuestionKind } from './question-routes.ts';
import type { Scripts } from './scripts.ts';
import type { HttpRequest } from './uws.ts';

/** Questions whose answer is always the same. */
type PlainKind = Exclude<QuestionKind, 'config' | 'config_script' | 'script' | 'flags' | 'decide'>;

const NOTHING: Readonly<Record<PlainKind, Answer>> = {
  flag_definitions: json('{"flags":[],"group_type_mapping":{},"cohorts":{}}'),
  surveys: json('{"surveys":[],"survey_config":null}'),
  early_access_features: json('{"earlyAccessFeatures":[]}'),
  web_experiments: json('{"experiments":[]}'),
  product_tours: json('{"product_tours":[]}'),
};

export class Questions {
  readonly #flags: FlagsRoute;
  readonly #scripts: Scripts;

  constructor(flags: FlagsRoute, scripts: Scripts) {
    this.#flags = flags;
    this.#scripts = scripts;
  }

  /** Call it in the handler itself. */
  handle(exchange: Exchange, req: HttpRequest, kind: QuestionKind): void {
    if (kind === 'flags' || kind === 'decide') this.#flags.handle(exchange, req, kind);
    else if (kind === 'script') void this.#scripts.handle(exchange, req);
    else exchange.answer(atOnce(req, kind));
  }
}

function atOnce(req: HttpRequest, kind: Exclude<QuestionKind, 'flags' | 'decide' | 'script'>): Answer {
  switch (kind) {
    case 'config':
      return config(req.getParameter(0));
    case 'config_script':
      return configScript(req.getParameter(0));
    default:
      return NOTHING[kind];
  }
}
