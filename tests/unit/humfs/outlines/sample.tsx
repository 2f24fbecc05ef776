import React from "react";

interface Props { title: string }

export const Card: React.FC<Props> = ({ title }) => {
  const onClick = () => console.log(title);
  return <button onClick={onClick}>{title.length < 3 ? <b>{title}</b> : "long"}</button>;
};

export function App() {
  return <Card title="x" />;
}
