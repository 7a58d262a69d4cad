//! Tokens that jobs of build services get for your audience: GitLab CI/CD, Buildkite, CircleCI, Vercel.
//!
//! Anybody can run a job there and ask for a token for any audience. So each preset asks whose job it is, by an id that nobody can take over.

use serde_json::json;

use super::{IssuerName, KeysAt, Preset};
use crate::token::mapping::ClaimMapping;
use crate::trust::claim_rule::ClaimRule;

/// A job's token, with the one id that `claim` has to be among.
fn job(name: &str, source: &str, issuer: String, keys: KeysAt, claim: &str, ids: Vec<String>) -> Preset {
    Preset::new(name, source, IssuerName::Exact(issuer), keys)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .require_claim(ClaimRule::one_of(claim, ids))
        .note("anybody's job gets tokens for any audience: the audience alone says nothing")
}

fn strings<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> (Vec<String>, String) {
    let ids: Vec<String> = ids.into_iter().map(Into::into).collect();
    let first = ids.first().cloned().unwrap_or_default();
    (ids, first)
}

/// What a job of GitLab CI/CD gets by `id_tokens` for your audience, in the projects with these ids. `instance` is `https://gitlab.com` or your own server.
#[must_use]
pub fn gitlab_ci<P: Into<String>>(instance: &str, project_ids: impl IntoIterator<Item = P>) -> Preset {
    let source = "https://docs.gitlab.com/ci/secrets/id_token_authentication/";
    let instance = instance.trim_end_matches('/');
    let (ids, first) = strings(project_ids);
    job("GitLab CI/CD", source, instance.into(), KeysAt::Discovery, "project_id", ids)
        .see("https://gitlab.com/gitlab-org/gitlab/-/issues/563038")
        .note("ids are strings; the pipeline of a merge request from a fork names the fork in project_id")
        .note("ref_protected is the text \"true\" or \"false\": ask for it where only protected branches may come")
        .sample(json!({
            "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "project_id": first, "project_path": "my-group/my-project",
            "namespace_id": "72", "ref": "main", "ref_type": "branch", "ref_protected": "true", "job_id": "302", "jti": "1",
        }))
        .near_miss("somebody else's project", json!({"project_id": "999"}))
        .near_miss("the default audience", json!({"aud": instance}))
}

/// What a job of a Buildkite agent gets for your audience, in the organizations with these UUIDs. All organizations share one issuer.
#[must_use]
pub fn buildkite<O: Into<String>>(organization_ids: impl IntoIterator<Item = O>) -> Preset {
    let source = "https://buildkite.com/docs/agent/cli/reference/oidc";
    let (ids, first) = strings(organization_ids);
    let issuer = "https://agent.buildkite.com".to_owned();
    job("Buildkite", source, issuer, KeysAt::Discovery, "organization_id", ids)
        .see("https://buildkite.com/docs/apis/workload-identity-federation/buildkite-agents")
        .see("https://github.com/buildkite/agent/pull/3784")
        .note("a job picks what sub is (--subject-claim, since March 2026): decide by ids")
        .note("an organization's pipelines are told apart by pipeline_id: ask for it where not all may come")
        .sample(json!({
            "sub": "organization:acme-inc:pipeline:deploy:ref:refs/heads/main:commit:9f31820:step:", "organization_id": first,
            "organization_slug": "acme-inc", "pipeline_id": "p1", "pipeline_slug": "deploy", "build_branch": "main",
        }))
        .near_miss("somebody else's organization", json!({"organization_id": "another"}))
        .near_miss("no word of the organization", json!({"organization_id": null}))
}

/// What a job of CircleCI gets for your audience, in the projects with these UUIDs of an organization.
#[must_use]
pub fn circleci<P: Into<String>>(organization_id: &str, project_ids: impl IntoIterator<Item = P>) -> Preset {
    const PROJECT: &str = "oidc.circleci.com/project-id";
    let source = "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/";
    let (ids, first) = strings(project_ids);
    let issuer = format!("https://oidc.circleci.com/org/{organization_id}");
    job("CircleCI", source, issuer, KeysAt::Discovery, PROJECT, ids)
        .see("https://circleci.com/docs/oidc-tokens-with-custom-claims/")
        .note("a job that asks for no audience gets the organization's id as one")
        .note("oidc.circleci.com/ssh-rerun says whether somebody has run the job again with SSH")
        .sample(json!({
            "sub": format!("org/{organization_id}/project/{first}/user/u1"), PROJECT: first,
            "oidc.circleci.com/vcs-ref": "refs/heads/main", "oidc.circleci.com/context-ids": ["c1"],
        }))
        .near_miss("somebody else's project", json!({PROJECT: "another"}))
        .near_miss("the default audience", json!({"aud": organization_id}))
}

/// What a deployment at Vercel gets, of the projects with these ids, in a team that has the issuer mode *Team*. `team` is the slug of its URL.
#[must_use]
pub fn vercel<P: Into<String>>(team: &str, project_ids: impl IntoIterator<Item = P>) -> Preset {
    let (ids, first) = strings(project_ids);
    let issuer = format!("https://oidc.vercel.com/{team}");
    let keys = KeysAt::JwksUri(format!("{issuer}/.well-known/jwks"));
    job("Vercel", "https://vercel.com/docs/oidc/reference", issuer, keys, "project_id", ids)
        .see("https://vercel.com/docs/oidc/api")
        .note("in the issuer mode Global every team has the issuer https://oidc.vercel.com: take Team, or tell teams apart by owner_id")
        .note("previews of branches come with the same project: ask for environment production where only that may come")
        .note("the default audience is https://vercel.com/TEAM; ask for your own, or name it with audience()")
        .sample(json!({
            "sub": format!("owner:{team}:project:shop:environment:production"), "owner": team, "owner_id": "team_1", "project": "shop",
            "project_id": first, "environment": "production",
        }))
        .near_miss("somebody else's project", json!({"project_id": "prj_another"}))
        .near_miss("the default audience", json!({"aud": format!("https://vercel.com/{team}")}))
}
