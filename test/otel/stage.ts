import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { ClientEvent } from 'pinfetch'
import { type InstrumentOptions, instrument } from 'pinfetch/otel'
import { onTestFinished } from 'vitest'
import { createEmitter } from '../../src/events/emitter.ts'

type Health = ReturnType<Parameters<typeof instrument>[0]['health']>

export interface OtelStage {
  readonly spans: InMemorySpanExporter
  readonly tracerProvider: NodeTracerProvider
  readonly meterProvider: MeterProvider
  /** Every metric by its name: the attributes of each series, with its value or the count and sum of its histogram. */
  readonly metrics: () => Promise<Readonly<Record<string, readonly Series[]>>>
}

export interface Series {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly value: unknown
}

/** Providers of the SDK whose exporters keep everything in memory. */
export function otelStage(): OtelStage {
  const spans = new InMemorySpanExporter()
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  onTestFinished(async () => {
    await tracerProvider.shutdown()
    await meterProvider.shutdown()
  })
  const metrics: OtelStage['metrics'] = async () => {
    exporter.reset()
    await reader.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    return Object.fromEntries(
      all.map(({ descriptor, dataPoints }) => [
        descriptor.name,
        dataPoints.map(({ attributes, value }) => ({ attributes: { ...attributes }, value })),
      ]),
    )
  }
  return { spans, tracerProvider, meterProvider, metrics }
}

/** A client that says what it is told to say. */
export function toldClient(stage: OtelStage, options: InstrumentOptions = {}, health: Partial<Health> = {}) {
  const { emit, on } = createEmitter()
  const client = { on, health: (): Health => ({ expiries: [], ...health }) }
  const { tracerProvider, meterProvider } = stage
  const instrumentation = instrument(client, { tracerProvider, meterProvider, ...options })
  onTestFinished(() => instrumentation.close())
  return { emit: (...events: readonly ClientEvent[]) => events.forEach(emit), client, instrumentation }
}
