import type { EventStreams } from './event-streams.ts';
import { type ApiRoute, defineRoute } from './route.ts';

export function eventRoutes(streams: EventStreams): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      // Nothing but the stream tells whether there is one.
      head: 'none',
      path: '/api/v1/events',
      operationId: 'streamEvents',
      summary:
        'What happens to runs, as it happens: server-sent events, until somebody closes the connection.',
      scope: 'read',
      answers: {
        200: {
          description:
            'Events `runs` (at first: those queued or under way), `run-queued`, `run-started`, `progress` (bytes, bytes_per_second) and `run-ended`, each with a JSON document as its data.',
          types: ['text/event-stream'],
        },
      },
      faults: ['RATE_LIMITED', 'CANCELLED'],
      work: async () => ({
        // Proxies such as nginx would gather what has to arrive at once.
        headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
        body: streams.open(),
      }),
    }),
  ];
}
