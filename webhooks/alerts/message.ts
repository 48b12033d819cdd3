import type { Alert } from "../../api/hooks.ts";
import type { AlertProvider } from "../../api/kinds.ts";

export type AlertType = AlertProvider["spec"]["type"];

/** Where an alert goes, the Secret's address and the defaults already in it. */
export interface Destination {
  readonly type: AlertType;
  readonly address: string;
  readonly channel: string;
  readonly username: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
}

/** One request to a chat service. */
export interface AlertRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** An alert in the form that its receiver reads, as Flagger writes it. Pure. */
export function alertRequest(to: Destination, alert: Alert): AlertRequest {
  const headers = to.token === undefined ? {} : { authorization: `Bearer ${to.token}` };
  switch (to.type) {
    case "slack":
      return { url: to.address, headers, body: slack(to, alert, ["good", "danger"]) };
    case "discord": {
      // Discord reads Slack's form below its own webhooks.
      const url = to.address.endsWith("/slack") ? to.address : `${to.address.replace(/\/+$/, "")}/slack`;
      return { url, headers, body: slack(to, alert, ["good", "danger"]) };
    }
    case "rocket":
      return { url: to.address, headers, body: slack(to, alert, ["#0076D7", "#FF0000"]) };
    case "msteams":
      return { url: to.address, headers, body: teams(alert) };
    case "gchat":
      return { url: to.address, headers, body: chat(alert) };
    case "webhook": {
      const { name, namespace } = alert.canary;
      const { severity, message } = alert;
      const fields = Object.fromEntries(alert.fields.map((field) => [field.name, field.value]));
      return { url: to.address, headers, body: { name, namespace, severity, message, fields } };
    }
  }
}

const author = ({ canary }: Alert): string => `${canary.name}.${canary.namespace}`;

/** @see https://api.slack.com/reference/messaging/attachments */
function slack({ channel, username }: Destination, alert: Alert, [good, bad]: readonly [string, string]) {
  return {
    channel,
    username,
    icon_emoji: ":rocket:",
    attachments: [
      {
        color: alert.severity === "error" ? bad : good,
        author_name: author(alert),
        text: alert.message,
        mrkdwn_in: ["text"],
        fields: alert.fields.map(({ name, value }) => ({ title: name, value, short: false })),
      },
    ],
  };
}

/** A MessageCard of Microsoft Teams. */
function teams(alert: Alert) {
  return {
    "@type": "MessageCard",
    "@context": "http://schema.org/extensions",
    themeColor: alert.severity === "error" ? "FF0000" : "0076D7",
    summary: author(alert),
    sections: [
      {
        activityTitle: alert.message,
        activitySubtitle: author(alert),
        facts: alert.fields.map(({ name, value }) => ({ name, value })),
      },
    ],
  };
}

/** A card of Google Chat. */
function chat(alert: Alert) {
  const lines = [alert.message, ...alert.fields.map(({ name, value }) => `${name}: ${value}`)];
  return {
    cards: [
      {
        header: { title: "fairlead", subtitle: author(alert) },
        sections: lines.map((text) => ({ widgets: [{ textParagraph: { text } }] })),
      },
    ],
  };
}
