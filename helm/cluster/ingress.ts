/** An Ingress as Kubernetes takes it. Whether a controller does as it says is not tried: none is asked for. */

import { kubernetesVersion } from '#test/tools'
import { chart, type Figures, release, type Site } from './tools.ts'

export async function isIngressTaken(site: Site): Promise<Figures> {
  const lines = ['enabled=true', 'host=penstock.example.org', 'tls.secretName=public', 'className=nginx']
  const text = await site.helm(
    'template',
    release,
    chart,
    '--show-only',
    'templates/ingress.yaml',
    // Without a question to the cluster helm takes it for an old one.
    '--kube-version',
    kubernetesVersion,
    ...lines.flatMap((line) => ['--set', `ingress.${line}`]),
  )
  const said = site.tryOut(text).trim()
  if (!/^ingress\S*\/api-service created \(server dry run\)$/.test(said)) throw new Error(said)
  return { 'taken by the API server': 1 }
}
